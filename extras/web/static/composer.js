/** The form for a text, new or edited: keeps what is typed until it is sent, and says when it grows too long. */

import { $$, clone, confirm, onSubmit } from "./dom.js";
import { browser, draftKey, saveDraft } from "./session.js";
import { t, translate } from "./words.js";

const LIMIT = 1_048_576; // bytes of the body on the wire
const RTL = /^\P{L}*[\p{sc=Arabic}\p{sc=Hebrew}]/u; // of a long text, as Chromium takes seconds to find it for each line
const encoder = new TextEncoder();

/** Bytes that are left; emoji, quotes and line breaks count as they are sent. */
function bytesLeft(text) {
  if (text.length < LIMIT / 8) return LIMIT; // none is more than six
  return LIMIT - encoder.encode(JSON.stringify({ text, status: "published" })).length;
}

const online = () => new Promise((resolve) => addEventListener("online", resolve, { once: true }));

/** `send({text, status}, form)` gives the post as it is saved, or throws a Refusal: then the text stays. The form's `key`
 * is the same each time that a new text is sent, until it has arrived, and its `version` is the one that the edit of
 * `post` began with; `inform` says how it goes. `close(saved)` ends an edit, with the post if it was saved. */
export function composer(send, post = /** @type {any} */ (undefined), close = (_saved) => {}) {
  const form = clone("composer");
  const { text } = form.elements;
  const [cancel, draft, primary] = form.querySelectorAll("button");
  const note = form.querySelector(".note");
  const name = (form.draft = draftKey(post?.postID ?? "new"));
  text.value = post?.text ?? "";
  let original = text.value; // as it is saved, but for CRLF, which a textarea turns into LF
  const turn = () => (text.dir = text.value.length < 5000 ? "auto" : RTL.test(text.value) ? "rtl" : "ltr");
  form.inform = (words) => (note.textContent = words);

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
    form.inform(left > LIMIT / 10 ? kept : left < 0 ? t("over", { n: -left }) : t("left", { n: left }));
    note.classList.toggle("over", left < 0);
  }

  cancel.onclick = async () => {
    if (text.value !== original && !(await confirm(t("discard"), t("discardYes")))) return text.focus();
    saveDraft(name, "");
    close();
  };
  text.oninput = () => {
    turn();
    keepAndTell();
  };
  form.onkeydown = (event) => {
    if (event.isComposing) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit(primary);
    if (event.key !== "Escape" || !post) return;
    event.preventDefault(); // or it would close the question, too
    cancel.click();
  };

  onSubmit(form, async (_, { value: status }) => {
    if (!navigator.onLine) {
      form.inform(t("waiting"));
      await online();
      if (!form.isConnected) return; // its account has logged out
    }
    const sent = text.value;
    if (!post) form.key ??= crypto.getRandomValues(new Uint32Array(4)).join("-"); // without TLS there is no randomUUID
    const kept = keep();
    form.inform("");
    const saved = await send(post && sent === original ? { status } : { text: sent, status }, form).catch((refusal) => {
      form.inform(refusal.status === 413 ? "" : kept); // that it is too long, is said already
      if (refusal.status === 412) form.version = undefined; // sent again, it replaces what is there
      if (refusal.status === 422) form.key = undefined; // it may be of another text
      if (refusal.status === 422) keep();
      throw refusal;
    });
    form.key = undefined;
    form.version = saved?.version;
    if (post) original = sent;
    const isAll = text.value === sent; // nothing was typed meanwhile
    if (isAll) text.value = original;
    keepAndTell();
    if (post && isAll) close(saved);
    if (!post) text.focus();
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
