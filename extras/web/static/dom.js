/** What all modules do with the page: words put in their place, questions, forms. What people wrote goes on it as text. */

import { Refusal } from "./api.js";
import { t, translate } from "./words.js";

/** @returns {any} */
export const $ = (id) => document.getElementById(id);

/** @returns {any[]} */
export const $$ = (selector) => [...document.querySelectorAll(selector)];

/** @returns {any} a copy of the template's only element, with its texts */
export function clone(template) {
  const copy = /** @type {HTMLTemplateElement} */ (document.getElementById(template)).content.cloneNode(true);
  translate(copy);
  return /** @type {DocumentFragment} */ (copy).firstElementChild;
}

/** Text to show, or "" to hide the element. */
export function say(element, text) {
  if (text && element.classList.contains("error")) announce(""); // success and error never stand together
  element.textContent = text;
  element.hidden = !text;
}

let silence = 0;

/** Tell what was done, on the screen and to screen readers. */
export function announce(text) {
  clearTimeout(silence);
  $("status").textContent = text;
  if (text) silence = setTimeout(() => ($("status").textContent = ""), 5000);
}

/** Ask before what cannot be undone. Escape and Cancel mean no. @returns {Promise<boolean>} */
export function confirm(question, yes) {
  const dialog = $("confirm");
  $("confirm-title").textContent = question;
  $("confirm-yes").textContent = yes;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    // The event comes later than the closing: by then the next question may be open, and it is not the answer to that.
    dialog.onclose = () => dialog.open || resolve(dialog.returnValue === "yes");
  });
}

// Forms: one submission at a time, each refusal beside what caused it, until that is mended

let ids = 0;

/** Take back what was said of this field and of the form; of all fields, if none is named. */
export function clear(form, name = "") {
  for (const error of form.querySelectorAll(".error")) {
    if (!name || ["", name].includes(error.dataset.error)) say(error, "");
  }
  for (const field of form.querySelectorAll("[aria-invalid]")) {
    if (name && field.name !== name) continue;
    field.removeAttribute("aria-invalid");
    field.removeAttribute("aria-errormessage");
  }
}

function blame(form, name, text) {
  const error = form.querySelector(`[data-error="${CSS.escape(name)}"]`);
  if (!error || !name) return say(form.querySelector('[data-error=""]'), text);
  say(error, text);
  error.id ||= `error-${++ids}`;
  const field = form.elements[name];
  field.setAttribute("aria-invalid", "true");
  field.setAttribute("aria-errormessage", error.id);
  const hints = field.getAttribute("aria-describedby") ?? "";
  if (!hints.split(" ").includes(error.id)) field.setAttribute("aria-describedby", `${error.id} ${hints}`.trim());
}

/** White space alone is nothing, but in a password. */
const isEmpty = (field) => field.required && !(/password/.test(field.name) ? field.value : field.value.trim());

function refuseEmpty(form) {
  const empty = [...form.elements].filter(isEmpty).map((field) => [field.name, t(`empty.${field.name}`)]);
  if (empty.length) throw new Refusal(422, "", Object.fromEntries(empty));
}

const AGAIN = 700; // milliseconds in which a second press is of a double click

/** Do `work(form, button)` when the form is sent. `causes` says which field a status is about: `{409: "email"}`.
 * @param {Record<number, string>} [causes] */
export function onSubmit(form, work, causes = {}) {
  let done = -AGAIN;
  let typed = false;
  form.addEventListener("input", ({ target }) => {
    clear(form, target.name);
    typed = true;
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (form.ariaBusy === "true" || (!typed && performance.now() - done < AGAIN)) return;
    typed = false;
    clear(form);
    announce("");
    form.ariaBusy = "true";
    try {
      refuseEmpty(form);
      await work(form, event.submitter);
      done = performance.now();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (error.message) blame(form, causes[error.status] ?? "", error.message);
      for (const [name, text] of Object.entries(error.fields)) blame(form, name, text);
      form.querySelector("[aria-invalid]")?.focus();
    } finally {
      form.ariaBusy = "false";
    }
  });
}
