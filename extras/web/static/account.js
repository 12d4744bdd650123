/** The account: a handle, a new email or password, the sessions, a download of all data, the end. */

import { Refusal, request } from "./api.js";
import { $, $$, clone, confirm, onSubmit, say } from "./dom.js";
import { setHandle } from "./place.js";
import { refresh } from "./posts.js";
import { begin, changed, current } from "./session.js";
import { ago, exactly, has, t } from "./words.js";

$("settings").onclick = () => {
  for (const element of $("account").querySelectorAll(".who")) element.textContent = current()?.email;
  for (const field of $("account").querySelectorAll("[name=username]")) field.value = current()?.email;
  for (const done of $("account").querySelectorAll(".done")) say(done, "");
  $("account").querySelector("details").open = false;
  $("sessions").replaceChildren();
  $("account").showModal();
  if (has("sessions")) listSessions();
};

/** As `onSubmit`; what it answers is said in the form, until something is typed there. */
function onChange(form, work, causes) {
  const done = form.querySelector(".done");
  form.addEventListener("input", () => say(done, ""));
  onSubmit(form, async (...args) => say(done, await work(...args)), causes);
}

/** Do it, and say beside its cause what is refused. */
async function attempt(error, work) {
  say(error, "");
  try {
    await work();
  } catch (refusal) {
    if (!(refusal instanceof Refusal)) throw refusal;
    say(error, refusal.message);
  }
}

function listSessions() {
  return attempt($("sessions-error"), async () => {
    const { data } = await request("GET", "sessions");
    $("sessions").replaceChildren(...data.map(rowOf));
  });
}

function rowOf({ sessionID, createdAt, lastUsedAt, current: isThis }) {
  const row = clone("session");
  const [begun, used, button] = row.querySelectorAll(".begun, .used, button");
  begun.textContent = isThis ? t("thisSession") : t("session", { when: exactly(createdAt) });
  used.textContent = isThis ? t("session", { when: exactly(createdAt) }) : t("lastUsed", { when: ago(lastUsedAt) });
  button.hidden = isThis;
  begun.id = `session-${sessionID}`;
  button.setAttribute("aria-describedby", begun.id);
  button.onclick = () =>
    attempt($("sessions-error"), async () => {
      await request("DELETE", `sessions/${sessionID}`).catch((refusal) => {
        if (refusal.status !== 404) throw refusal; // 404: it has ended already
      });
      await listSessions();
      $("sessions-title").focus();
    });
  return row;
}

for (const button of $$("button.download")) {
  const error = button.parentElement?.querySelector(".error") ?? $("delete-account").querySelector('[data-error=""]');
  button.onclick = () => attempt(error, download);
}

async function download() {
  const { data } = await request("GET", "exportData", undefined, { signal: null });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(data, undefined, 2)], { type: "application/json" }));
  link.download = "posts-export.json";
  link.click();
  URL.revokeObjectURL(link.href);
}

onChange(
  $("change-password"),
  async (form) => {
    const { current_password, new_password } = form.elements;
    await request("POST", "changePassword", { current_password: current_password.value, new_password: new_password.value });
    form.reset();
    if (has("sessions")) listSessions();
    return t("changed");
  },
  { 403: "current_password" },
);

onChange(
  $("change-email"),
  async (form) => {
    const [password, new_email] = [form.elements.password.value, form.elements.new_email.value.trim()];
    await request("POST", "changeEmail", { password, new_email });
    form.reset();
    begin({ .../** @type {import("./session.js").Session} */ (current()), moving: new_email.toLowerCase() });
    return t("changeSent");
  },
  { 403: "password", 409: "new_email" },
);

// The handle, under which posts are public, and the name above them

const profile = $("profile");
const { handle, name } = profile.elements;

function show(data) {
  setHandle(data.handle);
  [handle.value, name.value] = [data.handle ?? "", data.name ?? ""];
}

/** Ask the server for them. What cannot be learned now changes nothing, nor what is being typed. */
export async function loadProfile() {
  if (!has("profile")) return;
  const answer = await request("GET", "profile").catch(() => undefined);
  if (answer && $("account").open) setHandle(answer.data.handle);
  else if (answer) show(answer.data);
}

/** @param {object} change */
async function save(change) {
  const { data } = await request("PUT", "profile", change);
  show(data);
  changed();
  refresh();
}

onChange(
  profile,
  async () => {
    await save({ handle: handle.value.trim().replace(/^@/, ""), name: name.value });
    return t("saidProfile");
  },
  { 409: "handle" },
);

$("release").onclick = async () => {
  if (!(await confirm(t("releaseAsk"), t("release")))) return;
  attempt(profile.querySelector('[data-error=""]'), async () => {
    await save({ handle: null });
    say(profile.querySelector(".done"), t("released"));
    handle.focus();
  });
};

/** `leave(message)` is called when the account is no more. */
export function onEnd(leave) {
  onSubmit(
    $("delete-account"),
    async ({ elements: { password, typed } }) => {
      if (typed.value.trim().toLowerCase() !== current()?.email) throw new Refusal(422, "", { typed: t("typedWrong") });
      await request("POST", "deleteAccount", { password: password.value });
      leave(t("accountGone"));
    },
    { 403: "password" },
  );
}

