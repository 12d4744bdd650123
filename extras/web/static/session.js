/** Who is logged in, the same in all tabs. Where the token is, and why, says the extra's manual. */

import { browser, tab } from "./storage.js";

export const NAME = `posts ${location.pathname}`; // another service of this origin has another path
const tabs = globalThis.BroadcastChannel ? new BroadcastChannel(NAME) : { postMessage() {}, onmessage: undefined };

/** `kept` outlives the tab, with a `refresh` token where the server gives one; `moving` is the email to come.
 * @typedef {{email: string, token: string, refresh?: string, kept?: boolean, moving?: string}} Session */

const stored = () => tab.get(NAME) ?? browser.get(NAME);
/** @type {Session | null} */
let session = stored();
let email = session?.email ?? "";
let onSession = (_session, _why) => {};
let onChange = () => {};

export const current = () => session;
/** The email of who is, or was, logged in. */
export const last = () => email;

/** @param {Session | null} value @param {string} [why] */
function set(value, why) {
  const told = value?.email !== session?.email || !value;
  session = value;
  email = value?.email ?? email;
  tab.set(NAME, value?.kept ? null : value);
  browser.set(NAME, value?.kept ? value : null);
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
  const other = stored();
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
export function watch(sessionChanged, listChanged) {
  onChange = listChanged;
  onSession = sessionChanged;
  sessionChanged(session, "");
  if (!session) tabs.postMessage({ ask: true });
}

/** Where is kept what was typed but not sent, by account: for a new post (`id` is "new") or an edit. */
export const draftKey = (id, of = session?.email) => `${NAME} draft ${of} ${id}`;

/** With an edit goes the version that it began with, or after a reload it would replace a newer one unseen; with a new
 * text that was sent, the key that it was sent with, or it could be posted twice. No text forgets it. */
export const saveDraft = (name, text, version, key) => browser.set(name, text && { text, version, key });

export const draftsOf = (email) => browser.ids(draftKey("", email)).map((id) => draftKey(id, email));
