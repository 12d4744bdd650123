/** The form for a text, new or edited: keeps what is typed until it is sent, and says when it grows too long. */

import { $$, clone, confirm, onSubmit } from "./dom.js";
import { draftKey, loadDraft, saveDraft } from "./session.js";
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
  const key = draftKey(post ? post.postID : "new");
  let original = post ? post.text : ""; // as it is saved
  let later = 0;
  const turn = () => (text.dir = text.value.length < 5000 ? "auto" : RTL.test(text.value) ? "rtl" : "ltr");

  /** What was typed, or what another tab keeps. */
  function restore(kept) {
    text.value = kept?.text ?? original;
    form.version = kept ? kept.version : post?.version;
    form.key = kept?.key;
    turn();
  }

  text.value = original;
  original = text.value; // a textarea turns CRLF into LF
  restore(loadDraft(key));

  form.keep = () => {
    clearTimeout(later);
    later = 0;
    if (text.value === original) form.key = undefined; // what is typed now is another text
    try {
      saveDraft(key, text.value === original ? "" : text.value, form.version, form.key);
      return text.value === original ? "" : t("kept");
    } catch {
      return t("notKept");
    }
  };

  function keep() {
    const kept = form.keep();
    const left = bytesLeft(text.value);
    if (left > LIMIT / 10) note.textContent = kept;
    else note.textContent = left < 0 ? t("over", { n: -left }) : t("left", { n: left });
    note.classList.toggle("over", left < 0);
  }

  form.flush = () => later && form.keep();
  form.adopt = (event) => {
    if (event.key !== key || document.hasFocus()) return; // what another tab typed, for one that nobody types in
    restore(loadDraft(key, event.newValue));
  };

  form.cancel = async () => {
    if (text.value !== original && !(await confirm(t("discard"), t("discardYes")))) return text.focus();
    saveDraft(key, "");
    close();
  };

  text.addEventListener("input", () => {
    turn();
    clearTimeout(later);
    if (text.value.length < 50_000) keep();
    else later = setTimeout(() => form.isConnected && keep(), 500); // it takes a while
  });
  form.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit(primary);
    if (event.key !== "Escape" || !post) return;
    event.preventDefault(); // or it would close the question, too
    form.cancel();
  });

  onSubmit(
    form,
    async (_, button) => {
      if (!navigator.onLine) {
        note.textContent = t("waiting");
        await online();
      }
      const status = button?.value ?? "published";
      const sent = text.value;
      if (!post) form.key ??= newKey();
      const kept = form.keep();
      note.textContent = "";
      try {
        const inform = (words) => (note.textContent = words);
        await send(post && sent === original ? { status } : { text: sent, status }, sent, form.key, inform);
      } catch (refusal) {
        if (refusal.spent) form.key = undefined;
        if (refusal.spent) form.keep();
        note.textContent = refusal.status === 413 ? "" : kept; // it is said already
        throw refusal;
      }
      form.key = undefined;
      if (post) original = sent;
      else if (text.value === sent) text.value = original; // else it was typed on meanwhile
      keep();
      if (!post) text.focus();
    },
    { 413: "text" },
  );

  if (post) {
    text.dataset.tLabel = "editing";
    primary.dataset.t = post.status === "published" ? "saveEdit" : "save";
    draft.dataset.t = post.status === "published" ? "toDraft" : "keepDraft";
    translate(form);
    cancel.hidden = false;
    cancel.onclick = form.cancel;
  }
  if (bytesLeft(text.value) < LIMIT / 10) keep();
  return form;
}

addEventListener("pagehide", () => {
  for (const form of $$(".composer")) form.flush();
});
addEventListener("storage", (event) => {
  for (const form of $$(".composer")) form.adopt(event);
});

