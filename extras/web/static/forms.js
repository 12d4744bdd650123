/** Forms: one submission at a time, each refusal beside what caused it. */

import { say } from "./dom.js";
import { Refusal } from "./api.js";

let ids = 0;

function clear(form) {
  for (const error of form.querySelectorAll(".error")) say(error, "");
  for (const field of form.querySelectorAll("[aria-invalid]")) {
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

/** Do `work(form, button)` when the form is sent. `causes` says which field a status is about: `{409: "email"}`. */
export function onSubmit(form, work, causes = {}) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (form.ariaBusy === "true") return;
    clear(form);
    form.ariaBusy = "true";
    try {
      await work(form, event.submitter);
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
