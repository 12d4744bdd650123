/** What is there for who is logged in, beside the list: a new text, the account, and the ways out. */

import { Refusal, request, send } from "./api.js";
import { composer } from "./composer.js";
import { $, $$, announce, clear, clone, confirm, copy, onSubmit, say } from "./dom.js";
import * as posts from "./posts.js";
import { begin, changed, current, drafts, end, saveDraft } from "./session.js";
import { empty, resume } from "./trash.js";
import { ago, exactly, has, t, translate } from "./words.js";

/** The list and the profile, which another tab may have changed. */
export function refresh() {
  loadProfile();
  return posts.refresh();
}

export function open() {
  const writer = composer(posts.add);
  $("new").replaceChildren(writer);
  writer.elements.text.focus();
  posts.reset();
  resume();
  refresh();
}

export function close() {
  $("new").replaceChildren();
  setHandle(undefined);
  posts.reset();
}

addEventListener("online", () => {
  if (!current()) return;
  resume();
  refresh();
});

// The handle, under which posts are public, and the name above them

const profile = $("profile");
const { handle, name } = profile.elements;
const { dataset } = document.documentElement;

/** From now on, the words and links are those of posts that are public at this handle, or private if it is "". */
function setHandle(value) {
  if (value === dataset.handle) return;
  if (value === undefined) delete dataset.handle;
  else dataset.handle = value;
  translate(document);
  for (const link of $$(".public-page")) link.textContent = `@${value}`;
  for (const link of $$("[data-at]")) posts.point(link);
}

function show(data) {
  setHandle(data.handle ?? "");
  [handle.value, name.value] = [data.handle ?? "", data.name ?? ""];
}

/** Ask the server for them. What cannot be learned now changes nothing, nor what is being typed. */
async function loadProfile() {
  if (!has("profile")) return;
  const answer = await request("GET", "profile").catch(() => undefined);
  if (answer && $("account").open) setHandle(answer.data.handle ?? "");
  else if (answer) show(answer.data);
}

onSubmit(profile, async (_, { id }) => {
  const isEnd = id === "release";
  if (isEnd && !(await confirm(t("releaseAsk"), t("release")))) return;
  const change = isEnd ? { handle: null } : { handle: handle.value.trim().replace(/^@/, ""), name: name.value };
  const { data } = await request("PUT", "profile", change);
  show(data);
  changed();
  posts.refresh();
  if (isEnd) handle.focus();
  return t(isEnd ? "released" : "saidProfile");
});

$("place").querySelector("button").onclick = () => {
  if (dataset.handle) return copy($("place").querySelector("a").href, t("linkCopied"));
  $("settings").click();
  handle.focus();
};

// The account: its email and password, its sessions, a download of all data

$("settings").onclick = () => {
  for (const form of $$("#account form")) clear(form);
  $("account").querySelector("details").open = false;
  $("sessions").replaceChildren();
  $("account").showModal();
  listSessions();
};

onSubmit($("change-email"), async (form) => {
  const change = Object.fromEntries(new FormData(form));
  await request("POST", "changeEmail", change);
  form.reset();
  begin({ moving: String(change.new_email).toLowerCase() });
  return t("changeSent");
});

onSubmit($("change-password"), async (form) => {
  await request("POST", "changePassword", Object.fromEntries(new FormData(form)));
  form.reset();
  listSessions();
  return t("changed");
});

const listSessions = () => has("sessions") && $("where").requestSubmit();

onSubmit($("where"), async (_, button) => {
  if (button) {
    await request("DELETE", `sessions/${button.value}`).catch((refusal) => {
      if (refusal.status !== 404) throw refusal; // 404: it has ended already
    });
  }
  const { data } = await request("GET", "sessions");
  $("sessions").replaceChildren(...data.map(rowOf));
  if (button) $("sessions-title").focus();
});

function rowOf({ sessionID, createdAt, lastUsedAt, current: isThis }) {
  const row = clone("session");
  const [begun, used, button] = row.querySelectorAll(".begun, .used, button");
  const since = t("session", { when: exactly(createdAt) });
  begun.textContent = isThis ? t("thisSession") : since;
  used.textContent = isThis ? since : t("lastUsed", { when: ago(lastUsedAt) });
  button.hidden = isThis;
  button.value = sessionID;
  begun.id = `session-${sessionID}`;
  button.setAttribute("aria-describedby", begun.id);
  return row;
}

onSubmit($("export"), async () => {
  const { data } = await request("GET", "exportData", undefined, { signal: null });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(data, undefined, 2)], { type: "application/json" }));
  link.download = "posts-export.json";
  link.click();
  URL.revokeObjectURL(link.href);
});

// The ways out

onSubmit($("delete-account"), async ({ elements: { password, typed } }) => {
  if (typed.value.trim().toLowerCase() !== current()?.email) throw new Refusal(422, "", { typed: t("typedWrong") });
  await request("POST", "deleteAccount", { password: password.value });
  leave(t("accountGone"));
});

$("log-out").onclick = async () => {
  if (drafts().length && !(await confirm(t("leave"), t("leaveYes")))) return;
  const token = current()?.token;
  const emptied = empty(true);
  leave(t("loggedOut"));
  await emptied;
  revoke(token);
};

/** Nothing of the account stays in this browser. */
function leave(news) {
  for (const key of drafts()) saveDraft(key, "");
  end("", "loggedOut");
  announce(news);
}

/** End the session on the server, too, if it can; it is asked whatever is known of it. */
async function revoke(token) {
  const lost = () => ({ response: { status: 503 } });
  const { response } = await send("POST", "logout", undefined, { keepalive: true }, token).catch(lost);
  const isOver = response.status < 500 && response.status !== 429; // 404: without `account`, a token ends by itself
  $("revoke").hidden = isOver || Boolean(current());
  if ($("revoke").hidden) return isOver;
  announce("");
  say($("why"), t("notRevoked"));
  $("revoke").onclick = async () => {
    say($("why"), "");
    if (await revoke(token)) announce(t("revoked"));
  };
}
