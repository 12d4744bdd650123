/** What all modules do with the page: words put in their place, questions, forms. What people wrote goes on it as text. */

import { Refusal } from "./api.js";
import { t, translate } from "./words.js";

/** @returns {any} */
export const $ = (id) => document.getElementById(id);

/** @returns {any[]} */
export const $$ = (selector) => [...document.querySelectorAll(selector)];

/** @returns {any} a copy of the template's only element, with its texts */
export function clone(template) {
  const copy = $(template).content.cloneNode(true);
  translate(copy);
  return copy.firstElementChild;
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
  if (text) silence = setTimeout(announce, 5000, "");
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

/** Take back what was said of this field and of the form; of all fields, if none is named. */
export function clear(form, name = "") {
  for (const error of form.querySelectorAll("[data-error]")) {
    const { error: cause } = error.dataset;
    if (name && cause && cause !== name) continue;
    say(error, "");
    if (cause) form.elements[cause].removeAttribute("aria-invalid");
  }
}

let ids = 0;

function blame(form, name, text) {
  const [error] = [name, ""].map((cause) => form.querySelector(`[data-error="${CSS.escape(cause)}"]`)).filter(Boolean);
  say(error, text);
  const field = form.elements[error.dataset.error];
  if (!field) return;
  error.id ||= `error-${++ids}`;
  field.setAttribute("aria-invalid", "true");
  const hints = field.getAttribute("aria-describedby") ?? "";
  if (!hints.split(" ").includes(error.id)) field.setAttribute("aria-describedby", `${error.id} ${hints}`);
}

/** White space alone is nothing, but in a password. */
const isEmpty = (field) => field.required && !(/password/.test(field.name) ? field.value : field.value.trim());

const AGAIN = 700; // milliseconds in which a second press is of a double click

/** Do `work(form, button)` when the form is sent. `causes` says which field a status is about: `{409: "email"}`.
 * @param {Record<number, string>} [causes] */
export function onSubmit(form, work, causes = {}) {
  let done = -AGAIN;
  let typed = false; // since it was sent
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
      const empty = [...form.elements].filter(isEmpty).map(({ name }) => [name, t(`empty.${name}`)]);
      if (empty.length) throw new Refusal(422, "", Object.fromEntries(empty));
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
