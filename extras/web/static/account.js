/** The account: a new password, the sessions, a download of all data, the end. */

import { Refusal, request } from "./api.js";
import { $, $$, clone, onSubmit, say } from "./dom.js";
import { current } from "./session.js";
import { ago, exactly, has, t } from "./words.js";

$("settings").onclick = () => {
  $("account").querySelector(".who").textContent = current()?.email;
  for (const { elements } of [$("change-password"), $("delete-account")]) elements.username.value = current()?.email;
  say($("change-password").querySelector(".done"), "");
  $("account").querySelector("details").open = false;
  $("sessions").replaceChildren();
  $("account").showModal();
  if (has("sessions")) listSessions();
};

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

onSubmit(
  $("change-password"),
  async (form) => {
    const { current_password, new_password } = form.elements;
    await request("POST", "changePassword", { current_password: current_password.value, new_password: new_password.value });
    form.reset();
    say(form.querySelector(".done"), t("changed"));
    if (has("sessions")) listSessions();
  },
  { 403: "current_password" },
);
$("change-password").addEventListener("input", ({ currentTarget }) => say(currentTarget.querySelector(".done"), ""));

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

