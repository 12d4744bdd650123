/** Who is logged in, the same in all tabs. The token is in this tab's sessionStorage; why, says the extra's manual. */

const NAME = `posts ${location.pathname}`; // another service of this origin has another path
const tabs = new BroadcastChannel(NAME);
const drafts = (email) => `${NAME} draft ${email} `;

let session = JSON.parse(sessionStorage.getItem(NAME)); // {email, token}, or null
let onSession = () => {};
let onChange = () => {};

export const current = () => session;

function set(value, why) {
  session = value;
  if (value) sessionStorage.setItem(NAME, JSON.stringify(value));
  else sessionStorage.removeItem(NAME);
  onSession(session, why);
}

export function begin(email, token) {
  set({ email, token });
  tabs.postMessage({ session });
}

/** `why` is shown above the log-in form. */
export function end(why = "") {
  const { email } = session;
  set(null, why);
  tabs.postMessage({ ended: email, why });
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
  if (!session) {
    tabs.postMessage({ ask: true });
    await new Promise((resolve) => {
      onSession = resolve;
      setTimeout(resolve, 100);
    });
  }
  onSession = sessionChanged;
  sessionChanged(session, "");
}

/** What was typed but not sent: by account, for a new post (`id` is "new") or an edit. "" forgets it. */
export const draftKey = (id) => drafts(session.email) + id;

/** With an edit goes the version that it began with, or after a reload it would replace a newer one unseen; with a new
 * text that was sent, the key that it was sent with, or it could be posted twice. */
export function saveDraft(id, text, version, key) {
  if (!text) return localStorage.removeItem(id);
  localStorage.setItem(id, JSON.stringify({ text, version, key }));
}

/** `{text, version, key}`, or null; `value` is what another tab kept. */
export function loadDraft(key, value = localStorage.getItem(key)) {
  try {
    return JSON.parse(value);
  } catch {
    return { text: value }; // kept by the page before it knew versions
  }
}

/** Forget the edits of posts that are gone; `posts` has the ids of all that there are. */
export function dropDraftsBut(posts) {
  for (const key of draftsOf(session.email)) {
    const id = key.slice(drafts(session.email).length);
    if (id !== "new" && !posts.has(Number(id))) saveDraft(key, "");
  }
}

export const draftsOf = (email) => Object.keys(localStorage).filter((key) => key.startsWith(drafts(email)));
