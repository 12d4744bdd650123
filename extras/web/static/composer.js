/** The form for a text, new or edited: keeps what is typed until it is sent, and says when it grows too long. */

import { insist, isUnknown, keyed, request } from "./api.js";
import { $$, clone, confirm, onSubmit } from "./dom.js";
import { browser, changed, draftKey } from "./session.js";
import { t, translate } from "./words.js";

const LIMIT = 1_048_576; // bytes of the body on the wire
const RTL = /^\P{L}*[\p{sc=Arabic}\p{sc=Hebrew}]/u; // of a long text, as Chromium takes seconds to find it for each line

/** Bytes that are left; emoji, quotes and line breaks count as they are sent. */
function bytesLeft(text) {
  if (text.length < LIMIT / 8) return LIMIT; // none is more than six
  return LIMIT - new TextEncoder().encode(JSON.stringify({ text, status: "published" })).length;
}

/** Save a new post, and see to it that it is there once: all who send this text send the same key.
 * `showAll` loads the list, which may have it. */
async function add(body, form, showAll) {
  const headers = { "Idempotency-Key": form.key };
  try {
    await insist(form, () => request("POST", "addPost", body, { headers }));
  } catch (refusal) {
    const isUnsure = !keyed && isUnknown(refusal) && refusal.said !== "503.saved";
    if (isUnsure || refusal.fields["Idempotency-Key"]) await showAll();
    if (keyed && isUnknown(refusal)) refusal.message = t("failed");
    if (isUnsure && refusal.status === 0) refusal.message += ` ${t("unsure")}`;
    throw refusal;
  }
}

/** Save an edit, if the post is still what it was when that began; the post as it is now. */
async function change(post, body, { version }) {
  const headers = new Headers(version && { "If-Match": `"${version}"` });
  const { data } = await request("PUT", `editPost/${post.postID}`, body, { headers });
  return Object.assign(post, data);
}

/** For a new post, or an edit of this one. `done(saved)` is called when the list is another, and when an edit ends,
 * with the post if it was saved. */
export function composer(done, post = /** @type {any} */ (undefined)) {
  const form = clone("composer");
  const { text } = form.elements;
  const [cancel, draft, primary] = form.querySelectorAll("button");
  const note = form.querySelector(".note");
  const name = (form.draft = draftKey(post?.postID ?? "new"));
  text.value = post?.text ?? "";
  let original = text.value; // as it is saved, but for CRLF, which a textarea turns into LF
  const turn = () => (text.dir = text.value.length < 5000 ? "auto" : RTL.test(text.value) ? "rtl" : "ltr");
  form.inform = (words) => (note.textContent = words);

  /** What was typed, here or in another tab. With an edit goes the version that it began with, or after a reload it
   * would replace a newer one unseen; with a text that was sent, its key, or it could be posted twice. */
  form.restore = () => {
    const kept = browser.get(name);
    text.value = kept?.text ?? original;
    form.version = (kept ?? post)?.version;
    form.key = kept?.key;
    turn();
  };

  function keep() {
    const isNew = text.value !== original;
    const isKept = browser.set(name, isNew && { text: text.value, version: form.version, key: form.key });
    return isNew ? t(isKept ? "kept" : "notKept") : "";
  }

  /** Give a new post a key, or the one with which another tab has sent it. It is good until its post is there: even
   * for another text, as what was deleted may come back, and the server tells if the first one was saved. */
  function sign() {
    const kept = browser.get(name);
    if (kept?.text === text.value) form.key ??= kept.key;
    form.key ??= crypto.getRandomValues(new Uint32Array(4)).join("-"); // without TLS there is no randomUUID
  }

  function keepAndTell() {
    turn();
    const kept = keep();
    const left = bytesLeft(text.value);
    form.inform(left > LIMIT / 10 ? kept : left < 0 ? t("over", { n: -left }) : t("left", { n: left }));
    note.classList.toggle("over", left < 0);
  }

  cancel.onclick = async () => {
    if (text.value !== original && !(await confirm(t("discard"), t("discardYes")))) return text.focus();
    browser.set(name, null);
    done();
  };
  text.oninput = keepAndTell;
  form.onkeydown = (event) => {
    if (event.isComposing) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit(primary);
    if (event.key !== "Escape" || !post) return;
    event.preventDefault(); // or it would close the question, too
    cancel.click();
  };

  onSubmit(form, async (_, { value: status }) => {
    const sent = text.value;
    if (!navigator.onLine) {
      if (!post) sign();
      keep();
      form.inform(t("waiting"));
      await new Promise((resolve) => addEventListener("online", resolve, { once: true }));
      if (!form.isConnected) return; // its account has logged out
      if (text.value !== sent) return keepAndTell(); // it was not for this that the button was pressed
    }
    if (!post) sign();
    const kept = keep();
    const { key } = form; // which another tab may change meanwhile
    form.inform("");
    const body = post && sent === original && form.version ? { status } : { text: sent, status };
    const saved = await (post ? change(post, body, form) : add(body, form, done)).catch((refusal) => {
      form.inform(refusal.status === 413 ? "" : kept); // that it is too long, is said already
      if (refusal.status === 412) form.version = undefined; // sent again, it replaces what is there
      if (refusal.fields["Idempotency-Key"] && form.key === key) {
        form.key = undefined; // it is another text's
        keep();
      }
      throw refusal;
    });
    changed();
    if (!post && !form.isConnected) return; // somebody logged out, or in again: what is typed now is another form's
    if (form.key === key) form.key = undefined;
    form.version = saved?.version;
    if (post) original = sent;
    const isAll = text.value === sent; // nothing was typed meanwhile
    if (isAll) text.value = original;
    keepAndTell();
    if (!post && (form.contains(document.activeElement) || document.activeElement === document.body)) text.focus();
    if (!post || isAll) done(saved);
    if (!post) return t(status === "draft" ? "saidDraft" : "saidSaved");
    return t(isAll ? "saidEdited" : "savedBut");
  });

  if (post) text.dataset.tLabel = "editing";
  if (post?.status === "published") [draft.dataset.t, primary.dataset.t] = ["toDraft", "saveEdit"];
  translate(form);
  form.restore();
  if (bytesLeft(text.value) < LIMIT / 10) keepAndTell();
  return form;
}

addEventListener("storage", ({ key }) => {
  if (document.hasFocus()) return; // people type in this tab
  for (const form of $$(".composer")) if (form.draft === key) form.restore();
});
