/** Who is logged in, the same in all tabs. Where the token is, and why, says the extra's manual. */

export const NAME = `posts ${location.pathname}`; // another service of this origin has another path
const tabs = new BroadcastChannel(NAME);
const drafts = (email) => `${NAME} draft ${email} `;

/** `kept` outlives the tab, with a `refresh` token where the server gives one; `moving` is the email to come.
 * @typedef {{email: string, token: string, refresh?: string, kept?: boolean, moving?: string}} Session */

const stored = () => sessionStorage.getItem(NAME) ?? localStorage.getItem(NAME);
/** @type {Session | null} */
let session = JSON.parse(stored() ?? "null");
let onSession = (_session, _why) => {};
let onChange = () => {};

let email = ""; // of the last one

export const current = () => session;
export const last = () => email;

/** @param {Session | null} value @param {string} [why] */
function set(value, why) {
  const told = value?.email !== session?.email || !value;
  email = value?.email ?? session?.email ?? email;
  session = value;
  for (const storage of [sessionStorage, localStorage]) {
    if (value && Boolean(value.kept) === (storage === localStorage)) storage.setItem(NAME, JSON.stringify(value));
    else storage.removeItem(NAME);
  }
  if (told) onSession(session, why);
}

/** A new session, or the present one with new tokens. @param {Session} value */
export function begin(value) {
  set(value);
  tabs.postMessage({ session });
}

/** `why` is the name of a text that is shown above the log-in form; other tabs show `elsewhere`. */
export function end(why = "", elsewhere = why) {
  const ended = session?.email;
  set(null, why);
  tabs.postMessage({ ended, why: elsewhere });
}

/** The tokens that another tab has traded meanwhile, if it has. */
export function adopt() {
  const other = JSON.parse(stored() ?? "null");
  if (other && other.email === session?.email) session = other;
  return session;
}

/** Tell the other tabs that the list is another now. */
export const changed = () => tabs.postMessage({ changed: true });

tabs.onmessage = ({ data }) => {
  if (data.ask && session) tabs.postMessage({ session });
  if (data.session && data.session.token !== session?.token) set(data.session);
  if (data.ended && session?.email === data.ended) set(null, data.why);
  if (data.changed) onChange();
};

/** Call `sessionChanged(session, why)` now and with each change, in whichever tab; `listChanged()` for another tab's. */
export async function watch(sessionChanged, listChanged) {
  onChange = listChanged;
  onSession = sessionChanged;
  sessionChanged(session, "");
  if (!session) tabs.postMessage({ ask: true });
}

/** What was typed but not sent: by account, for a new post (`id` is "new") or an edit. "" forgets it. */
export const draftKey = (id) => drafts(session?.email) + id;

/** With an edit goes the version that it began with, or after a reload it would replace a newer one unseen; with a new
 * text that was sent, the key that it was sent with, or it could be posted twice. */
export function saveDraft(id, text, version, key) {
  if (!text) return localStorage.removeItem(id);
  localStorage.setItem(id, JSON.stringify({ text, version, key }));
}

/** `{text, version, key}`, or null; `value` is what another tab kept. */
export function loadDraft(key, value = localStorage.getItem(key)) {
  try {
    return JSON.parse(value ?? "null");
  } catch {
    return { text: value }; // kept by the page before it knew versions
  }
}

/** Forget the edits of posts that are gone; `posts` has the ids of all that there are. */
export function dropDraftsBut(posts) {
  for (const key of draftsOf(session?.email)) {
    const id = key.slice(drafts(session?.email).length);
    if (id !== "new" && !posts.has(Number(id))) saveDraft(key, "");
  }
}

export const draftsOf = (email) => Object.keys(localStorage).filter((key) => key.startsWith(drafts(email)));
