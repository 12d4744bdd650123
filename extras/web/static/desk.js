/** What is there for who is logged in, beside the list: a new text, the account, and the ways out. */

import { Refusal, request, send } from "./api.js";
import { composer } from "./composer.js";
import { $, $$, announce, clear, clone, confirm, copy, create, onSubmit, say } from "./dom.js";
import * as posts from "./posts.js";
import { begin, browser, changed, current, drafts, end } from "./session.js";
import { ago, exactly, has, t, translate } from "./words.js";

/** The list and the profile, which another tab may have changed. */
export async function refresh() {
  posts.refresh();
  const answer = has("profile") && (await request("GET", "profile").catch(() => undefined));
  if (answer) show(answer.data); // what cannot be learned now changes nothing
}

/** For who is logged in, if anybody is; nothing stays of who was. */
export function open(isSomebody) {
  setHandle(undefined);
  posts.reset();
  $("new").replaceChildren();
  if (!isSomebody) return;
  $("new").append(composer(posts.showAll));
  $("new").querySelector("textarea").focus();
  posts.resume();
  refresh();
}

addEventListener("online", () => current() && refresh());

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
}

/** Nothing that is being typed is touched. */
function show(data) {
  setHandle(data.handle ?? "");
  handle.defaultValue = data.handle ?? "";
  name.defaultValue = data.name ?? "";
}

onSubmit(profile, async (_, { id }) => {
  const isEnd = id === "release";
  if (isEnd && !(await confirm(t("releaseAsk"), t("release")))) return;
  const change = isEnd ? { handle: null } : { handle: handle.value.trim().replace(/^@/, ""), name: name.value };
  const { data } = await request("PUT", "profile", change);
  profile.reset();
  show(data);
  changed();
  if (isEnd) handle.focus();
  return t(isEnd ? "released" : "saidProfile");
});

$("share").onclick = () => copy($("share").previousElementSibling.href, t("linkCopied"));

// The account: its email and password, its sessions, a download of all data

$("settings").onclick = $("go-public").onclick = ({ target }) => {
  for (const form of $$("#account form")) clear(form);
  $("account").querySelector("details").open = false;
  $("sessions").replaceChildren();
  $("account").showModal();
  if (target.id === "go-public") handle.focus();
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
  if (button) await request("DELETE", `sessions/${button.value}`);
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
  button.ariaDescription = begun.textContent;
  return row;
}

async function download() {
  const { data } = await request("GET", "exportData", undefined, { signal: null });
  const file = new Blob([JSON.stringify(data, undefined, 2)], { type: "application/json" });
  const link = create("a", { href: URL.createObjectURL(file), download: "posts-export.json" });
  link.click();
  URL.revokeObjectURL(link.href);
}

for (const form of $$(".export")) onSubmit(form, download);

// The ways out

onSubmit($("delete-account"), async ({ elements: { password, typed } }) => {
  if (typed.value.trim().toLowerCase() !== current()?.email) throw new Refusal(422, "", { typed: t("typedWrong") });
  await request("POST", "deleteAccount", { password: password.value });
  leave(t("accountGone"));
});

$("log-out").onclick = async () => {
  if (drafts().length && !(await confirm(t("leave"), t("leaveYes")))) return;
  const token = current()?.token;
  const emptied = posts.empty(true);
  leave(t("loggedOut"));
  await emptied;
  revoke(token);
};

/** Nothing of the account stays in this browser. */
function leave(news) {
  for (const name of drafts()) browser.set(name, null);
  end("", "loggedOut");
  announce(news);
}

/** End the session on the server, too, if it can; it is asked whatever is known of it. */
async function revoke(token, news = "") {
  const lost = () => ({ response: { status: 503 } });
  const { response } = await send("POST", "logout", undefined, { keepalive: true }, token).catch(lost);
  const isOver = response.status < 500 && response.status !== 429; // 404: without `account`, a token ends by itself
  if (current() || (isOver && !news)) return; // somebody is logged in again, or it was said
  announce(isOver ? news : "");
  say($("why"), isOver ? "" : t("notRevoked"));
  $("revoke").hidden = isOver;
  $("revoke").onclick = () => revoke(token, t("revoked"));
}
