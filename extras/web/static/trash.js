/** Deleted posts, for the seconds in which that can be undone; which, is kept in this browser until they are gone. */

import { request } from "./api.js";
import { NAME, changed, current } from "./session.js";

export const GRACE = 8000; // milliseconds
export const trashKey = () => `${NAME} trash ${current()?.email}`;
const mine = new Set(); // whose Undo is in this tab

/** The ids of those posts, each with the time at which it goes. @returns {Record<string, number>} */
export const trash = (key = trashKey()) => JSON.parse(localStorage.getItem(key) ?? "{}");

function write(id, time = 0, key = trashKey()) {
  const { [id]: _, ...others } = trash(key);
  const all = time ? { ...others, [id]: time } : others;
  if (Object.keys(all).length) localStorage.setItem(key, JSON.stringify(all));
  else localStorage.removeItem(key);
}

export function discard(id) {
  mine.add(id);
  write(id, Date.now() + GRACE);
  setTimeout(carryOut, GRACE, id);
}

export function restore(id) {
  mine.delete(id);
  write(id);
}

/** Delete it on the server, unless it was restored; later, if that fails now. */
async function carryOut(id) {
  if (!(id in trash())) return;
  try {
    await request("DELETE", `deletePost/${id}`);
  } catch ({ status }) {
    if (status === 401) return; // at the next log-in
    if (status !== 404) return setTimeout(carryOut, 10_000, id); // 404: it is gone already
  }
  restore(id);
  changed();
}

/** Go on with what an earlier visit, or another tab, has left. */
export function resume() {
  for (const [id, time] of Object.entries(trash())) setTimeout(carryOut, Math.max(0, time - Date.now()), id);
}

/** Delete them now, though the page may be closing: those of this tab, or all. */
export function empty(all = false) {
  const key = trashKey();
  const headers = { Authorization: `Bearer ${current()?.token}` };
  const ids = Object.keys(trash(key)).filter((id) => all || mine.has(Number(id)));
  return Promise.allSettled(
    ids.map(async (id) => {
      const { ok, status } = await fetch(`deletePost/${id}`, { method: "DELETE", headers, keepalive: true });
      if (ok || status === 404) write(id, 0, key);
    }),
  );
}
