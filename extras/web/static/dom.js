/** Small things that all modules use. What people wrote goes on the page by `textContent` alone. */

export const $ = (id) => document.getElementById(id);

export const clone = (template) => $(template).content.cloneNode(true).firstElementChild;

/** Text to show, or "" to hide the element. */
export function say(element, text) {
  element.textContent = text;
  element.hidden = !text;
}

let silence;

/** Tell what was done, on the screen and to screen readers. */
export function announce(text) {
  clearTimeout(silence);
  $("status").textContent = text;
  silence = setTimeout(() => ($("status").textContent = ""), 8000);
}

/** Ask before what cannot be undone. Escape and Cancel mean no. */
export function confirm(question, yes, quote = "") {
  const dialog = $("confirm");
  $("confirm-title").textContent = question;
  $("confirm-yes").textContent = yes;
  say($("confirm-quote"), quote);
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    // The event comes later than the closing: by then the next question may be open, and it is not the answer to that.
    dialog.onclose = () => dialog.open || resolve(dialog.returnValue === "yes");
  });
}
