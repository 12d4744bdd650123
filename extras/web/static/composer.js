/** The form for a text, new or edited: keeps what is typed until it is sent, and says when it grows too long. */

import { $$, clone, confirm, onSubmit } from "./dom.js";
import { draftKey, saveDraft } from "./session.js";
import { browser } from "./storage.js";
import { t, translate } from "./words.js";

const LIMIT = 1_048_576; // bytes of the body on the wire
const RTL = /^\P{L}*[\p{sc=Arabic}\p{sc=Hebrew}]/u; // of a long text, as Chromium takes seconds to find it for each line
const encoder = new TextEncoder();

/** Bytes that are left; emoji, quotes and line breaks count as they are sent. */
function bytesLeft(text) {
  if (text.length < LIMIT / 8) return LIMIT; // none is more than six
  return LIMIT - encoder.encode(JSON.stringify({ text, status: "published" })).length;
}

/** A random one, also where the page came without TLS and `crypto.randomUUID` is not there. */
const newKey = () => crypto.getRandomValues(new Uint32Array(4)).join("-");

const online = () => new Promise((resolve) => addEventListener("online", resolve, { once: true }));

/** `send({text, status}, sent, key, inform)` may throw a Refusal, then the text stays; `sent` is the text as it was
 * typed, and `key` the same each time that a new text is sent, until it has arrived; `inform` says how it goes. `post`
 * is what is edited, if anything is, and the form's `version` is the one that the edit began with. */
export function composer(send, post = /** @type {any} */ (undefined), close = () => {}) {
  const form = clone("composer");
  const { text } = form.elements;
  const [cancel, draft, primary] = form.querySelectorAll("button");
  const note = form.querySelector(".note");
  const name = (form.draft = draftKey(post?.postID ?? "new"));
  const inform = (words) => (note.textContent = words);
  const turn = () => (text.dir = text.value.length < 5000 ? "auto" : RTL.test(text.value) ? "rtl" : "ltr");
  text.value = post?.text ?? "";
  let original = text.value; // as it is saved, but for CRLF, which a textarea turns into LF

  /** What was typed, here or in another tab. */
  form.restore = () => {
    const kept = browser.get(name);
    text.value = kept?.text ?? original;
    form.version = (kept ?? post)?.version;
    form.key = kept?.key;
    turn();
  };

  function keep() {
    const isNew = text.value !== original;
    if (!isNew) form.key = undefined; // what is typed now is another text
    const kept = saveDraft(name, isNew && text.value, form.version, form.key);
    return isNew ? t(kept ? "kept" : "notKept") : "";
  }

  function keepAndTell() {
    const kept = keep();
    const left = bytesLeft(text.value);
    inform(left > LIMIT / 10 ? kept : left < 0 ? t("over", { n: -left }) : t("left", { n: left }));
    note.classList.toggle("over", left < 0);
  }

  async function leave() {
    if (text.value !== original && !(await confirm(t("discard"), t("discardYes")))) return text.focus();
    saveDraft(name, "");
    close();
  }

  text.addEventListener("input", () => {
    turn();
    keepAndTell();
  });
  form.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit(primary);
    if (event.key !== "Escape" || !post) return;
    event.preventDefault(); // or it would close the question, too
    leave();
  });

  async function submit(_, { value: status }) {
    if (!navigator.onLine) {
      inform(t("waiting"));
      await online();
      if (!form.isConnected) return; // its account has logged out
    }
    const sent = text.value;
    if (!post) form.key ??= newKey();
    const kept = keep();
    inform("");
    try {
      await send(post && sent === original ? { status } : { text: sent, status }, sent, form.key, inform);
    } catch (refusal) {
      if (refusal.spent) form.key = undefined;
      if (refusal.spent) keep();
      inform(refusal.status === 413 ? "" : kept); // it is said already
      throw refusal;
    }
    form.key = undefined;
    if (post) original = sent;
    else if (text.value === sent) text.value = original; // else it was typed on meanwhile
    keepAndTell();
    if (!post) text.focus();
  }
  onSubmit(form, submit, { 413: "text" });

  if (post) {
    const isDraft = post.status === "draft";
    text.dataset.tLabel = "editing";
    primary.dataset.t = isDraft ? "save" : "saveEdit";
    draft.dataset.t = isDraft ? "keepDraft" : "toDraft";
    translate(form);
    cancel.hidden = false;
    cancel.onclick = leave;
  }
  form.restore();
  if (bytesLeft(text.value) < LIMIT / 10) keepAndTell();
  return form;
}

addEventListener("storage", ({ key }) => {
  if (document.hasFocus()) return; // people type in this tab
  for (const form of $$(".composer")) if (form.draft === key) form.restore();
});
