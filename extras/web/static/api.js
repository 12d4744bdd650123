/** Requests to the server. Addresses are relative to the page's. */

import { adopt, begin, current, end } from "./session.js";
import { has, inTime, t } from "./words.js";

/** What was refused: a sentence, or one for each field. Status 0: there was no answer; -1: one of somebody else. */
export class Refusal extends Error {
  /** @param {Record<string, string>} [fields] */
  constructor(status, message, fields = {}, safe = false) {
    super(message);
    Object.assign(this, { status, fields, safe });
  }
  status = 0;
  fields = {};
  safe = false; // nothing was done
  said = ""; // the name of its text
  spent = false; // the key was sent with another text
}

/** @param {RequestInit} more @param {string} [token] */
async function send(method, path, body, more, token) {
  const headers = new Headers(more.headers);
  if (token) headers.set("Authorization", `Bearer ${token}`);
  if (body) headers.set("Content-Type", "application/json");
  const offline = !navigator.onLine;
  try {
    const signal = AbortSignal.timeout(60_000);
    const response = await fetch(path, { signal, ...more, method, headers, body: body && JSON.stringify(body) });
    return { response, text: await response.text() };
  } catch {
    throw new Refusal(0, t("lost"), {}, offline);
  }
}

const OF_LINKS = ["resetPassword", "verifyEmail"]; // 401 means the link's token, not the session's

/** The answer's JSON, and the address of the next page if there is one. Throws a Refusal.
 * @param {object} [body] @param {RequestInit} [more] */
export async function request(method, path, body, more = {}, again = false) {
  const asked = current();
  const { response, text } = await send(method, path, body, more, asked?.token);
  const who = current();
  if (who?.email !== asked?.email) throw new Refusal(401, ""); // somebody logged out, or in, meanwhile
  if (response.status === 401 && who && !OF_LINKS.includes(path)) {
    if (!again && (who.token !== asked?.token || (await renew()))) return request(method, path, body, more, true);
    end("expired");
    throw new Refusal(401, "");
  }
  if (!response.ok) throw refusal(response, text);
  const next = response.headers.get("Link")?.match(/<([^>]*)>; rel="next"/)?.[1];
  return { data: response.status === 204 ? undefined : parse(text), next: next && new URL(next, response.url).href };
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new Refusal(-1, t("stranger"), {}, true);
  }
}

/** Trade the refresh token for new ones, in one tab for all; whether there are new ones. */
async function renew() {
  if (!current()?.refresh) return false;
  const exclusively = navigator.locks ? (work) => navigator.locks.request("posts renew", work) : (work) => work();
  return exclusively(async () => {
    const before = current();
    const who = adopt();
    if (!who?.refresh || who.token !== before?.token) return Boolean(who);
    const { response, text } = await send("POST", "refreshToken", { refresh_token: who.refresh }, {});
    if (response.status === 401) return adopt()?.token !== who.token;
    if (!response.ok) throw refusal(response, text);
    const { access_token: token, refresh_token: refresh } = parse(text);
    begin({ ...who, token, refresh });
    return true;
  });
}

const PAUSES = [1, 3, 9]; // seconds before each time that a request is sent again

/** Whether the request may have been done nevertheless: no answer came, or one that may be of a proxy in between. */
export const isUnknown = (refusal) => [0, 502, 503, 504].includes(refusal.status);

/** As `request`, but sent again three times while that is so; only for what is done once however often it is sent.
 * `inform` is told, in words. */
export async function insist(inform, ...what) {
  const email = current()?.email;
  for (const seconds of PAUSES) {
    try {
      return await request(.../** @type {Parameters<typeof request>} */ (what));
    } catch (refusal) {
      if (!isUnknown(refusal)) throw refusal;
    }
    inform(t("resend", { n: seconds }));
    await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
    if (email !== current()?.email) throw new Refusal(401, "");
    inform(t("resending"));
  }
  return request(.../** @type {Parameters<typeof request>} */ (what));
}

/** The name of the text for a refusal is that of the first rule for its status that fits what the server said.
 * @type {[number, RegExp, string][]} */
const RULES = [
  [401, /^The link/, "oldLink"],
  [401, /^/, "wrongLogin"],
  [403, /password/, "wrongPassword"],
  [403, /^Confirm/, "unconfirmed"],
  [403, /locked/, "locked"],
  [403, /^You have .* posts/, "noRoom"],
  [403, /^You have .* bytes/, "noBytes"],
  [409, /log in/, "taken"],
  [409, /^This email/, "emailTaken"],
  [409, /^This handle/, "handleTaken"],
  [409, /handles/, "manyHandles"],
  [413, /^/, "tooLong"],
  [429, /^/, "tooMany"],
  [503, /broke off/, "mayBeSaved"],
  [503, /./, "busy"],
  [502, /^/, "away"],
  [503, /^/, "away"],
  [504, /^/, "away"],
];

/** In people's words, of their language; where there are none, in the server's. */
function refusal(response, text) {
  const { status } = response;
  let detail;
  try {
    ({ detail } = JSON.parse(text));
  } catch {
    // a proxy in between speaks no JSON
  }
  if (Array.isArray(detail)) return new Refusal(status, "", fieldsOf(detail));
  if (typeof detail !== "string") detail = "";
  const seconds = response.headers.get("Retry-After") ?? "";
  const when = /^\d+$/.test(seconds) ? inTime(Number(seconds)) : t("soon");
  const said = RULES.find(([of, pattern]) => of === status && pattern.test(detail))?.[2];
  if (!said) return new Refusal(status, detail || t("broken", { status: String(status) }));
  return Object.assign(new Refusal(status, t(said, { when }), {}, said === "busy"), { said });
}

function fieldsOf(detail) {
  const known = { email: t("badEmail"), password_length: t("badPassword"), handle: t("badHandle"), handle_reserved: t("reserved") };
  return Object.fromEntries(detail.map(({ type, loc, msg }) => [loc[1] ?? "", known[type] ?? `${msg}.`]));
}

export const keyed = has("idempotency");
