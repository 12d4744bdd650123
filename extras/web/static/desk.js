/** The desk: what is written is sent, and the way out. */

import { loadProfile, onEnd } from "./account.js";
import { insist, isUnknown, keyed, request } from "./api.js";
import { composer } from "./composer.js";
import { $, announce, confirm, say } from "./dom.js";
import { setHandle } from "./place.js";
import * as posts from "./posts.js";
import * as session from "./session.js";
import { empty, resume } from "./trash.js";
import { t } from "./words.js";

/** The list and the profile, which another tab may have changed. */
export function refresh() {
  loadProfile();
  return posts.refresh();
}

export function open() {
  const writer = composer(add);
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

/** Send a new post, and see to it that it is there once. */
async function add(post, _sent, key, inform) {
  const headers = { "Idempotency-Key": key };
  try {
    if (keyed) await insist(inform, "POST", "addPost", post, { headers });
    else await request("POST", "addPost", post);
  } catch (refusal) {
    refusal.spent = "Idempotency-Key" in refusal.fields; // on another text, or as a draft
    if (refusal.spent) refusal.fields = { text: t("spent") };
    if (refusal.spent || (isUnknown(refusal) && !keyed && !refusal.safe)) await posts.refreshAll();
    if (isUnknown(refusal) && keyed) refusal.message = t("failed");
    if (refusal.status === 0 && !keyed && !refusal.safe) refusal.message += ` ${t("unsure")}`;
    throw refusal;
  }
  announce(t(post.status === "draft" ? "saidDraft" : "saidSaved"));
  session.changed();
  posts.refreshAll();
}

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
  for (const key of session.draftsOf(session.current()?.email)) session.saveDraft(key, "");
  session.end("", "loggedOut");
  announce(message);
}
onEnd(leave);

addEventListener("online", () => {
  if (!session.current()) return;
  resume();
  refresh();
});
