/** Small things that all modules use. What people wrote goes on the page by `textContent` alone. */

/** @returns {any} */
export const $ = (id) => document.getElementById(id);

/** @returns {any[]} */
export const $$ = (selector) => [...document.querySelectorAll(selector)];

const routes = new Set(document.documentElement.dataset.routes?.split(" "));

/** Whether the server has a route whose path begins with this word. */
export const has = (route) => routes.has(route);

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
