/** Requests to the server. Addresses are relative to the page's. */

import { adopt, begin, current, end } from "./session.js";
import { TEXTS, has, inTime, t } from "./words.js";

/** What was refused: a sentence, or one for each field; `said` is the name of its text, or the status.
 * Status 0: there was no answer; -1: one of somebody else. */
export class Refusal extends Error {
  /** @param {Record<string, string>} [fields] */
  constructor(status, message, fields = {}, said = "") {
    super(message);
    this.status = status;
    this.fields = fields;
    this.said = said;
  }
}

const lost = () => {
  throw new Refusal(0, t("lost"));
};

/** The answer, and whether that is so now which was wanted.
 * @param {object} [body] @param {RequestInit} [more] @param {string} [token] */
export async function send(method, path, body, more = {}, token) {
  const headers = new Headers(more.headers);
  if (token) headers.set("Authorization", `Bearer ${token}`);
  if (body) headers.set("Content-Type", "application/json");
  const signal = AbortSignal.timeout(60_000);
  const response = await fetch(path, { signal, ...more, method, headers, body: JSON.stringify(body) }).catch(lost);
  const data = await response.json().catch((error) => (error instanceof SyntaxError ? undefined : lost()));
  if (response.ok && response.status !== 204 && data === undefined) throw new Refusal(-1, t("stranger"));
  const isGone = method === "DELETE" && response.status === 404 && data?.detail; // the service says so, no proxy
  const ok = response.ok || isGone;
  return { response, data, ok };
}

/** The answer's JSON, and the address of the next page if there is one. Throws a Refusal.
 * @param {object} [body] @param {RequestInit} [more] */
export async function request(method, path, body, more = {}, again = false) {
  const asked = current();
  const { response, data, ok } = await send(method, path, body, more, asked?.token);
  const who = current();
  if (who?.email !== asked?.email) throw new Refusal(401, ""); // somebody logged out, or in, meanwhile
  // For these 401 means the token of a mail's link, not the session's.
  if (response.status === 401 && who && !["resetPassword", "verifyEmail"].includes(path)) {
    if (!again && (who.token !== asked?.token || (await renew()))) return request(method, path, body, more, true);
    end("expired");
    throw new Refusal(401, "");
  }
  if (!ok) throw refusal(response, data);
  const next = response.headers.get("Link")?.match(/<([^>]*)>; rel="next"/)?.[1];
  return { data, next: next && new URL(next, response.url).href };
}

/** Trade the refresh token for new ones, in one tab for all; whether there are new ones. */
async function renew() {
  const before = current();
  if (!before?.refresh) return false;
  const exclusively = navigator.locks ? (work) => navigator.locks.request("posts renew", work) : (work) => work();
  return exclusively(async () => {
    const who = adopt(); // while this tab waited, another may have traded them
    if (!who?.refresh || who.token !== before.token) return Boolean(who);
    const { response, data, ok } = await send("POST", "refreshToken", { refresh_token: who.refresh });
    if (current()?.email !== who.email) throw new Refusal(401, ""); // somebody logged out meanwhile, and stays so
    if (response.status === 401) return adopt()?.token !== who.token;
    if (!ok) throw refusal(response, data);
    begin({ ...who, token: data.access_token, refresh: data.refresh_token });
    return true;
  });
}

/** Whether the request may have been done nevertheless: no answer came, or one that may be of a proxy in between. */
export const isUnknown = ({ status }) => [0, 502, 503, 504].includes(status);

/** In people's words, of their language; where there are none, in the server's. */
function refusal({ status, headers }, data) {
  if (Array.isArray(data?.detail)) {
    const fields = data.detail.map(({ type, loc, msg }) => [loc[1] ?? "", TEXTS[`422.${type}`] ?? `${msg}.`]);
    return new Refusal(status, "", Object.fromEntries(fields));
  }
  const detail = typeof data?.detail === "string" ? data.detail : "";
  const seconds = Number(headers.get("Retry-After"));
  const when = seconds > 0 ? inTime(seconds) : t("soon");
  const isSaid = (name) => name.startsWith(`${status}.`) && detail.includes(name.slice(4));
  const said = Object.keys(TEXTS).find(isSaid) ?? String(status);
  if (TEXTS[said]) return new Refusal(status, t(said, { when }), {}, said);
  if (isUnknown({ status })) return new Refusal(status, t("away", { when }));
  return new Refusal(status, detail || t("broken", { status: said }));
}

/** Whether the server knows by a key that a post was sent before. */
export const keyed = has("idempotency");

const PAUSES = keyed ? [1, 3, 9] : []; // seconds before each time that a request is sent again

/** Ask, and again while that is so, and the form is there; only for what is done once however often it is sent.
 * `inform` is told, in words. */
export async function insist(form, ask) {
  for (const seconds of PAUSES) {
    try {
      return await ask();
    } catch (refusal) {
      if (!isUnknown(refusal)) throw refusal;
    }
    form.inform(t("resend", { n: seconds }));
    await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
    if (!form.isConnected) throw new Refusal(401, ""); // its account has logged out
    form.inform(t("resending"));
  }
  return ask();
}
