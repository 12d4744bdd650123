/** Requests to the server. Addresses are relative to the page's. */

import { current, end } from "./session.js";

/** What was refused: a sentence, or one for each field. Status 0: there was no answer. */
export class Refusal extends Error {
  constructor(status, message, fields = {}) {
    super(message);
    Object.assign(this, { status, fields });
  }
}

const LOST = "The server cannot be reached. Nothing you typed is lost: try again when the connection is back.";
const UNSURE = " It may have arrived: look at your posts before you send it again.";
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
    throw new Refusal(0, LOST + (path === "addPost" ? UNSURE : ""));
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
    return new Refusal(response.status, wait ? detail.replace(/ Try again soon\.$/, "") + wait : detail);
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
