/** Requests to the server. Addresses are relative to the page's. */

import { announce } from "./dom.js";
import { current, end } from "./session.js";

/** What was refused: a sentence, `told` by the server or not, or one for each field. Status 0: there was no answer. */
export class Refusal extends Error {
  constructor(status, message, fields = {}, told = false) {
    super(message);
    Object.assign(this, { status, fields, told });
  }
}

const LOST = "The server cannot be reached. Nothing you typed is lost: try again when the connection is back.";
const PAUSES = [1, 3, 9]; // seconds before each time that a request is sent again
const EXPIRED = "Your session has ended. Log in again; what you typed is kept.";

/** The answer's JSON, and the address of the next page if there is one. Throws a Refusal. */
export async function request(method, path, body, more = {}) {
  const token = current()?.token;
  const headers = { ...more };
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body) headers["Content-Type"] = "application/json";
  let response, text;
  try {
    const signal = AbortSignal.timeout(60_000);
    response = await fetch(path, { method, headers, signal, body: body && JSON.stringify(body) });
    text = await response.text();
  } catch {
    throw new Refusal(0, LOST);
  }
  if (token !== current()?.token) throw new Refusal(401, EXPIRED); // someone logged out, or in, meanwhile
  if (response.status === 401 && token) {
    end(EXPIRED);
    throw new Refusal(401, EXPIRED);
  }
  if (!response.ok) throw refusal(response, text);
  const next = response.headers.get("Link")?.match(/<([^>]*)>; rel="next"/)?.[1];
  return { data: text && JSON.parse(text), next: next && new URL(next, response.url).href };
}

/** Whether the request may have been done nevertheless: no answer came, or one that may be of a proxy in between. */
export const isUnknown = (refusal) => [0, 502, 503, 504].includes(refusal.status);

/** As `request`, but sent again three times while that is so; only for what is done once however often it is sent. */
export async function insist(...what) {
  const token = current()?.token;
  for (const seconds of PAUSES) {
    try {
      return await request(...what);
    } catch (refusal) {
      if (!isUnknown(refusal)) throw refusal;
    }
    announce(`It did not get through yet. Sending it again in ${seconds} second${seconds > 1 ? "s" : ""}.`);
    await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
    if (token !== current()?.token) throw new Refusal(401, EXPIRED);
    announce("Sending it again.");
  }
  return request(...what);
}

function refusal(response, text) {
  let detail;
  try {
    ({ detail } = JSON.parse(text));
  } catch {
    // a proxy in between speaks no JSON
  }
  const seconds = response.headers.get("Retry-After");
  const wait = /^\d+$/.test(seconds) ? ` Try again in ${seconds} seconds.` : "";
  if (typeof detail === "string") {
    return new Refusal(response.status, wait ? detail.replace(/ Try again soon\.$/, "") + wait : detail, {}, true);
  }
  if (!Array.isArray(detail)) return new Refusal(response.status, `The server answered ${response.status}.${wait}`);
  const fields = {};
  for (const { loc, msg } of detail) {
    fields[loc[1] ?? ""] = `${msg.replace(/^String should have/, "It needs")}.`;
  }
  return new Refusal(response.status, "", fields);
}

/** The routes that this server has, as OpenAPI writes them. */
export async function routes() {
  try {
    return (await request("GET", "openapi.json")).data.paths;
  } catch {
    return {}; // the core's are there anyway
  }
}
