/** What a link from a mail is for. Its token is in the page's memory, and nowhere else. */

import { NAME, begin, current } from "./session.js";
import { has } from "./words.js";

export const link = { kind: "", token: "" };

/** Take a link's token out of the address; whether there was one. */
export function readLink() {
  const [, kind, token] = location.hash.match(/^#(reset|verify|change)=([\w-]+)$/) ?? [];
  if (!token || !has("verifyEmail")) return false;
  history.replaceState(null, "", location.pathname + location.search);
  Object.assign(link, { kind, token });
  return true;
}

/** The account has the email that was asked for here, if it was: what this browser keeps for it goes along. */
export function renameSession() {
  const who = current();
  if (!who?.moving) return;
  for (const [key, value] of Object.entries(localStorage)) {
    if (!key.startsWith(NAME) || !key.split(" ").includes(who.email)) continue;
    localStorage.removeItem(key);
    localStorage.setItem(key.replace(` ${who.email}`, ` ${who.moving}`), value);
  }
  begin({ ...who, email: who.moving, moving: undefined });
}
