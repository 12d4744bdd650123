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

/** The answer's JSON, and the address of the next page if there is one. Throws a Refusal.
 * @param {object} [body] @param {RequestInit} [more] */
export async function request(method, path, body, more = {}, again = false) {
  const asked = current();
  const { response, text } = await send(method, path, body, more, asked?.token);
  const who = current();
  if (who?.email !== asked?.email) throw new Refusal(401, ""); // somebody logged out, or in, meanwhile
  if (response.status === 401 && who) {
    if (!again && (who.token !== asked?.token || (await renew()))) return request(method, path, body, more, true);
    end("expired");
    throw new Refusal(401, "");
  }
  if (!response.ok) throw refusal(path, response, text);
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
    if (!response.ok) throw refusal("refreshToken", response, text);
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

/** In people's words, of their language; where there are none, in the server's. */
function refusal(path, response, text) {
  const { status } = response;
  let detail;
  try {
    ({ detail } = JSON.parse(text));
  } catch {
    // a proxy in between speaks no JSON
  }
  const seconds = response.headers.get("Retry-After") ?? "";
  const when = /^\d+$/.test(seconds) ? inTime(Number(seconds)) : t("soon");
  if (Array.isArray(detail)) return new Refusal(status, "", fieldsOf(detail));
  if (status === 401) return new Refusal(status, t("wrongLogin"));
  if (status === 403 && /password/.test(detail)) return new Refusal(status, t("wrongPassword"));
  if (status === 409 && path === "signup") return new Refusal(status, t("taken"));
  if (status === 413) return new Refusal(status, t("tooLong"));
  if (status === 429) return new Refusal(status, t("tooMany", { when }));
  if (status === 503 && /broke off/.test(detail)) return new Refusal(status, t("mayBeSaved"));
  if (status === 503 && typeof detail === "string") return new Refusal(status, t("busy", { when }), {}, true);
  if ([502, 503, 504].includes(status)) return new Refusal(status, t("away", { when }));
  return new Refusal(status, typeof detail === "string" ? detail : t("broken", { status: String(status) }));
}

function fieldsOf(detail) {
  const known = { email: t("badEmail"), password_length: t("badPassword") };
  return Object.fromEntries(detail.map(({ type, loc, msg }) => [loc[1] ?? "", known[type] ?? `${msg}.`]));
}

export const keyed = has("idempotency");
