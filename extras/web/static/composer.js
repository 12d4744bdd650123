/** The form for a text, new or edited: counts its bytes and keeps what is typed until it is sent. */

import { announce, clone } from "./dom.js";
import { onSubmit } from "./forms.js";
import { draftKey, loadDraft, saveDraft } from "./session.js";

const LIMIT = 1_048_576; // bytes of the body on the wire
const encoder = new TextEncoder();

/** Bytes that are left; emoji, quotes and line breaks count as they are sent. */
const bytesLeft = (text) => LIMIT - encoder.encode(JSON.stringify({ text, status: "published" })).length;

/** A random one, also where the page came without TLS and `crypto.randomUUID` is not there. */
const newKey = () => crypto.getRandomValues(new Uint32Array(4)).join("-");

/** `send({text, status}, sent, key)` may throw a Refusal, then the text stays; `sent` is the text as it was typed, and
 * `key` the same each time that a new text is sent, until it has arrived. `post` is what is edited, if anything is, and
 * the form's `version` is the one that the edit began with. */
export function composer(send, post, cancel) {
  const form = clone("composer");
  const { text } = form.elements;
  const counter = form.querySelector(".counter");
  const key = draftKey(post ? post.postID : "new");
  let over = false;

  text.value = post ? post.text : "";
  let original = text.value; // as it is saved; a textarea turns CRLF into LF
  const draft = loadDraft(key);
  text.value = draft?.text ?? original;
  form.version = draft ? draft.version : post?.version;
  form.key = draft?.key;

  function count() {
    const left = bytesLeft(text.value);
    const bytes = `${Math.abs(left).toLocaleString("en")} bytes`;
    counter.textContent = left < 0 ? `${bytes} too many` : `${bytes} left`;
    counter.classList.toggle("over", left < 0);
    if (left < 0 !== over) announce(left < 0 ? "The text is too long to send." : "The text is short enough again.");
    over = left < 0;
  }

  function keep() {
    if (text.value === original) form.key = undefined; // what is typed now is another text
    try {
      saveDraft(key, text.value === original ? "" : text.value, form.version, form.key);
    } catch {
      announce("This text is too large for the browser to keep: a reload would lose it.");
    }
  }

  text.addEventListener("input", () => [count(), keep()]);
  form.adopt = (event) => {
    if (event.key !== key || document.hasFocus()) return; // what another tab typed, for one that nobody types in
    const other = loadDraft(key, event.newValue);
    text.value = other?.text ?? original;
    form.version = other ? other.version : post?.version;
    form.key = other?.key;
    count();
  };

  onSubmit(
    form,
    async (_, button) => {
      const status = button?.value ?? "published";
      const sent = text.value;
      if (!post) form.key ??= newKey();
      keep();
      try {
        await send(post && sent === original ? { status } : { text: sent, status }, sent, form.key);
      } catch (refusal) {
        if (refusal.spent) {
          form.key = undefined;
          keep();
        }
        throw refusal;
      }
      form.key = undefined;
      if (post) original = sent;
      else if (text.value === sent) text.value = original; // else it was typed on meanwhile
      keep();
      count();
    },
    { 413: "text" },
  );

  if (post) {
    const [, draft, publish] = form.querySelectorAll(".row button");
    form.querySelector(".caption").textContent = "Edit the post";
    publish.textContent = post.status === "published" ? "Save" : "Publish";
    draft.textContent = post.status === "published" ? "Turn into a draft" : "Save draft";
    form.querySelector(".cancel").hidden = false;
    form.querySelector(".cancel").onclick = () => [saveDraft(key, ""), cancel()];
  }
  count();
  over = bytesLeft(text.value) < 0;
  return form;
}
