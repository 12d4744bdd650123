/** Puts the page together: the entrance (sign up, log in), the desk (write, list) and what both share. */

import { onEnd } from "./account.js";
import { insist, isUnknown, keyed, request } from "./api.js";
import { composer } from "./composer.js";
import { $, $$, announce, confirm, say } from "./dom.js";
import { clear, onSubmit } from "./forms.js";
import { refresh, refreshAll, reset } from "./posts.js";
import * as session from "./session.js";
import { empty, resume } from "./trash.js";
import { t } from "./words.js";

/** Send a new post, and see to it that it is there once. */
async function add(post, _sent, key, inform) {
  const headers = { "Idempotency-Key": key };
  try {
    if (keyed) await insist(inform, "POST", "addPost", post, { headers });
    else await request("POST", "addPost", post);
  } catch (refusal) {
    refusal.spent = "Idempotency-Key" in refusal.fields; // on another text, or as a draft
    if (refusal.spent) refusal.fields = { text: t("spent") };
    if (refusal.spent || (isUnknown(refusal) && !keyed && !refusal.safe)) await refreshAll();
    if (isUnknown(refusal) && keyed) refusal.message = t("failed");
    if (refusal.status === 0 && !keyed && !refusal.safe) refusal.message += ` ${t("unsure")}`;
    throw refusal;
  }
  announce(t(post.status === "draft" ? "saidDraft" : "saidSaved"));
  session.changed();
  refreshAll();
}

let shown; // the account that is, once one is; null: the entrance

/** @param {session.Session | null} who */
function show(who, why) {
  for (const dialog of $$("dialog[open]")) dialog.close();
  for (const form of $$("form")) clear(form);
  const first = shown === undefined; // what was typed before the page was ready stays
  if (!first) for (const id of ["credentials", "change-password", "delete-account"]) $(id).reset();
  document.documentElement.dataset.view = who ? "desk" : "entrance";
  $("revoke").hidden = true;
  reveal();
  reset();
  if (!who) {
    const { email, password } = $("credentials").elements;
    say($("why"), why && t(why));
    $("new").replaceChildren();
    if (shown) email.value = shown;
    shown = null;
    if (!first || document.activeElement === document.body) (email.value ? password : email).focus();
    return;
  }
  shown = $("email").textContent = who.email;
  const writer = composer(add);
  $("new").replaceChildren(writer);
  writer.elements.text.focus();
  resume();
  refresh();
}

// Entrance

let joining = false;

function reveal() {
  $("credentials").elements.password.type = $("reveal").checked ? "text" : "password";
}

function setMode(join) {
  joining = join;
  const { password } = $("credentials").elements;
  const [name, question, other] = join ? ["signUp", "haveAccount", "logIn"] : ["logIn", "newHere", "signUp"];
  $("entrance-title").textContent = $("credentials").querySelector(".primary").textContent = t(name);
  $("switch").textContent = t(other);
  $("switch").previousElementSibling.textContent = t(question);
  $("password-hint").hidden = !join;
  password.autocomplete = join ? "new-password" : "current-password";
  if (join) password.setAttribute("aria-describedby", "password-hint");
  else password.removeAttribute("aria-describedby");
  clear($("credentials"));
}

$("switch").onclick = () => {
  setMode(!joining);
  say($("why"), "");
  $("credentials").elements.email.focus();
};
$("reveal").onchange = reveal;

onSubmit(
  $("credentials"),
  async ({ elements: { email, password, keep } }) => {
    const credentials = { email: email.value.trim(), password: password.value };
    const { data } = await request("POST", joining ? "signup" : "login", credentials);
    const kept = keep.checked;
    const refresh = kept ? data.refresh_token : undefined;
    setMode(false);
    session.begin({ email: credentials.email.toLowerCase(), token: data.access_token, kept, refresh });
  },
  { 401: "password", 409: "email" },
);

// The way out

$("log-out").onclick = async () => {
  const who = session.current();
  const unsent = session.draftsOf(who?.email);
  if (unsent.length && !(await confirm(t("leave"), t("leaveYes")))) return;
  const emptied = empty(true);
  leave(t("loggedOut"));
  await emptied;
  revoke(who?.token);
};

/** End the session on the server, too, if it can; it is asked whatever is known of it. */
async function revoke(token) {
  $("revoke").hidden = true;
  const headers = { Authorization: `Bearer ${token}` };
  const answer = await fetch("logout", { method: "POST", headers, keepalive: true }).catch(() => ({ status: 503 }));
  if (answer.status < 500 && answer.status !== 429) return; // 404: without `account`, a token ends by itself
  if (session.current()) return;
  announce("");
  say($("why"), t("notRevoked"));
  $("revoke").hidden = false;
  $("revoke").onclick = async () => {
    say($("why"), "");
    await revoke(token);
    if ($("revoke").hidden) announce(t("revoked"));
  };
}

/** Nothing of the account stays in this browser. */
function leave(message) {
  for (const key of session.draftsOf(shown)) session.saveDraft(key, "");
  shown = "";
  session.end("", "loggedOut");
  announce(message);
}
onEnd(leave);

// Network and other tabs

function showNetwork() {
  $("offline").hidden = navigator.onLine;
}

addEventListener("offline", showNetwork);
addEventListener("online", () => {
  showNetwork();
  if (!session.current()) return;
  resume();
  refresh();
});

showNetwork();
session.watch(show, refresh);
