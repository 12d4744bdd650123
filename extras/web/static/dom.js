/** What all modules do with the page: words in their place, questions, forms. What people wrote goes on it as text. */

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

/** An element. @returns {any} */
export function create(name, properties, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

/** Text to show, or "" for none. */
export function say(element, text) {
  if (text && element.classList.contains("error")) announce(""); // success and error never stand together
  element.textContent = text;
}

let silence = 0;

/** Tell what was done, on the screen and to screen readers. */
export function announce(text) {
  clearTimeout(silence);
  $("status").textContent = text;
  if (text) silence = setTimeout(announce, 5000, "");
}

if (navigator.clipboard) document.documentElement.dataset.clipboard = ""; // it needs TLS

/** Put the text on the clipboard, and tell so. */
export const copy = (text, news) =>
  navigator.clipboard.writeText(text).then(() => announce(news)).catch(() => announce(t("notCopied")));

/** Ask before what cannot be undone. Escape and Cancel mean no. @returns {Promise<boolean>} */
export function confirm(question, yes) {
  const dialog = $("confirm");
  $("confirm-title").textContent = question;
  $("confirm-yes").textContent = yes;
  dialog.returnValue = "";
  dialog.showModal();
  // The event comes later than the closing: by then the next question may be open, and it is not the answer to that.
  return new Promise((resolve) => (dialog.onclose = () => dialog.open || resolve(dialog.returnValue === "yes")));
}

// Forms: one submission at a time, each refusal beside what caused it, until that is mended. Where it stands, says
// `data-error`: the name of the field, then what else is about it, other fields that mend it too; "" for all else.

/** Take back what was said of this field and of the form; of all fields, if none is named. */
export function clear(form, name = "") {
  for (const place of form.querySelectorAll("[data-error], .done")) {
    const causes = place.dataset.error?.split(" ") ?? [""];
    if (!place.textContent || (name && causes[0] && !causes.includes(name))) continue;
    say(place, "");
    form.elements[causes[0]]?.removeAttribute("aria-invalid");
  }
}

let ids = 0;

function blame(form, cause, text) {
  const named = form.querySelector(`[data-error~="${CSS.escape(cause)}"]`);
  const error = named ?? form.querySelector('[data-error=""]');
  say(error, text);
  error.scrollIntoView({ block: "nearest" });
  if (!named) return;
  const field = form.elements[named.dataset.error.split(" ")[0]];
  field.ariaInvalid = "true";
  if (error.id) return;
  error.id = `error-${++ids}`;
  field.setAttribute("aria-describedby", `${error.id} ${field.getAttribute("aria-describedby") ?? ""}`);
}

/** White space alone is nothing, but in a password. */
const isEmpty = (field) =>
  field.required && field.checkVisibility() && !(/password/.test(field.name) ? field.value : field.value.trim());

const AGAIN = 700; // milliseconds in which a second press is of a double click

/** Do `work(form, button)` when the form is sent, and tell what it answers. */
export function onSubmit(form, work) {
  const done = form.querySelector(".done");
  form.addEventListener("reset", () => clear(form));
  let last = -AGAIN;
  let pressed; // the last button, if nothing was typed since
  form.addEventListener("input", ({ target }) => {
    clear(form, target.name);
    pressed = undefined;
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { submitter } = event;
    const isDouble = submitter && pressed && performance.now() - last < AGAIN; // also of another button in its place
    if (form.ariaBusy === "true" || isDouble) return;
    pressed = submitter;
    clear(form);
    announce("");
    form.ariaBusy = "true";
    try {
      const empty = [...form.elements].filter(isEmpty).map(({ name }) => [name, t(`empty.${name}`)]);
      if (empty.length && !submitter?.formNoValidate) throw new Refusal(422, "", Object.fromEntries(empty));
      const news = (await work(form, submitter)) ?? "";
      if (done) say(done, news);
      else if (news) announce(news);
      last = performance.now();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (error.message) blame(form, error.said, error.message);
      for (const [name, text] of Object.entries(error.fields)) blame(form, name, text);
      form.querySelector("[aria-invalid]")?.focus();
    } finally {
      form.ariaBusy = "false";
    }
  });
}
