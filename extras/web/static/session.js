/** What this browser keeps, and who is logged in, in all tabs. Where the token is, and why, says the extra's manual. */

/** What the work gives, or if it throws, something else. */
function attempt(work, otherwise) {
  try {
    return work();
  } catch {
    return otherwise;
  }
}

/** Something kept by name. Where it is full or forbidden, the page remembers it as long as it is open.
 * @param {() => Storage} open */
function keeper(open) {
  /** @type {Record<string, string>} */
  const memory = {};
  const storage = /** @type {any} */ (attempt(open, {}));
  return {
    /** @returns {any} null if there is nothing, or nothing of ours */
    get: (name) => attempt(() => JSON.parse(memory[name] ?? storage[name] ?? "null"), null),
    /** Nothing, as null or "", forgets it. @returns {boolean} whether it outlives the page */
    set(name, value) {
      delete memory[name];
      const text = JSON.stringify(value);
      const isKept = attempt(() => (value ? storage.setItem(name, text) : delete storage[name]) ?? true, false);
      if (!isKept) memory[name] = text;
      return isKept;
    },
    names: (prefix) => Object.keys({ ...storage, ...memory }).filter((name) => name.startsWith(prefix)),
  };
}

export const browser = keeper(() => localStorage);
const tab = keeper(() => sessionStorage);

export const NAME = `posts ${location.pathname}`; // another service of this origin has another path
const tabs = globalThis.BroadcastChannel ? new BroadcastChannel(NAME) : { postMessage() {}, onmessage: undefined };

/** `kept` outlives the tab, with a `refresh` token where the server gives one; `moving` is the email to come.
 * @typedef {{email: string, token: string, refresh?: string, kept?: boolean, moving?: string, mark?: unknown}} Session */

const MARK = `${NAME} on`; // what all sessions of this browser have, until one logs out

/** Who is logged in, as far as this tab and browser know; who was, before this browser logged out, is forgotten. */
function stored() {
  const { mark } = tab.get(NAME) ?? {};
  if (mark && mark !== browser.get(MARK)) tab.set(NAME, null);
  return tab.get(NAME) ?? browser.get(NAME);
}

/** @type {Session | null} */
let session = stored();
let onSession = (_session, _why, _before) => {};
let onChange = () => {};

export const current = () => session;

/** @param {Session | null} value @param {string} [why] */
function set(value, why) {
  const before = session?.email;
  session = value;
  tab.set(NAME, value?.kept ? null : value);
  browser.set(NAME, value?.kept ? value : null);
  if (!value || value.email !== before) onSession(session, why, before);
}

/** A new session, or the present one with something new. @param {Partial<Session>} values */
export function begin(values) {
  const mark = browser.get(MARK) ?? Date.now();
  set(/** @type {Session} */ ({ mark: browser.set(MARK, mark) && mark, ...session, ...values }));
  tabs.postMessage({ session });
}

/** `why` is the name of a text that is shown above the log-in form; other tabs show `elsewhere`. */
export function end(why = "", elsewhere = why) {
  const ended = session?.email;
  browser.set(MARK, null);
  set(null, why);
  tabs.postMessage({ ended, why: elsewhere });
}

/** The tokens that another tab has traded meanwhile, if it has. */
export function adopt() {
  if (stored()?.email === session?.email) session = stored();
  return session;
}

/** A page that sleeps, in the history or frozen, hears of nothing: if it wakes to another session, it begins anew. */
const wake = () => stored()?.email !== session?.email && location.reload();
for (const event of ["pageshow", "visibilitychange"]) addEventListener(event, wake);

/** Tell the other tabs that the list is another now. */
export const changed = () => tabs.postMessage({ changed: true });

tabs.onmessage = ({ data }) => {
  if (data.ask && session) tabs.postMessage({ session });
  if (data.session && data.session.token !== session?.token) set(data.session);
  if (data.ended && session?.email === data.ended) set(null, data.why);
  if (data.changed) onChange();
};

/** Call `sessionChanged(session, why, emailBefore)` now and with each change, in whichever tab; `listChanged()` for
 * another tab's. */
export function watch(sessionChanged, listChanged) {
  onChange = listChanged;
  onSession = sessionChanged;
  sessionChanged(session);
  if (!session) tabs.postMessage({ ask: true });
}

/** The account has the email that was asked for here, if it was: what this browser keeps for it goes along. */
export function rename() {
  if (!session?.moving) return;
  const { email, moving } = session;
  for (const name of browser.names(`${NAME} `)) {
    const value = browser.get(name);
    browser.set(name, null);
    browser.set(name.replace(` ${email} `, () => ` ${moving} `), value);
  }
  begin({ email: moving, moving: undefined });
}

/** Where is kept what was typed but not sent, by account: for a new post (`id` is "new") or an edit. */
export const draftKey = (id) => `${NAME} draft ${session?.email} ${id}`;

export const drafts = () => browser.names(draftKey(""));
