/** Deleted posts, for the seconds in which that can be undone; which, is kept in this browser until they are gone. */

import { request, send } from "./api.js";
import { NAME, browser, changed, current } from "./session.js";

const GRACE = 8000; // milliseconds
const mine = new Set(); // whose Undo is in this tab
const nameOf = (id) => `${NAME} trash ${current()?.email} ${id}`;

/** The ids of those posts. */
export const trash = () => browser.names(nameOf("")).map((name) => Number(name.split(" ").at(-1)));

/** Milliseconds for which this tab offers to undo it. */
export const timeToUndo = (id) => (mine.has(id) ? browser.get(nameOf(id)) - Date.now() : 0);

export function discard(id) {
  mine.add(id);
  browser.set(nameOf(id), Date.now() + GRACE);
  schedule(id);
}

export function restore(id) {
  mine.delete(id);
  browser.set(nameOf(id), null);
}

function schedule(id) {
  const time = browser.get(nameOf(id));
  setTimeout(carryOut, time - Date.now(), id, time);
}

/** Delete it on the server; later, if that fails now. */
async function carryOut(id, time) {
  if (browser.get(nameOf(id)) !== time) return; // it was restored, and perhaps deleted again since
  try {
    await request("DELETE", `deletePost/${id}`);
  } catch ({ status }) {
    if (status === 401) return; // at the next log-in
    if (status !== 404) return setTimeout(carryOut, 10_000, id, time); // 404: it is gone already
  }
  restore(id);
  changed();
}

/** Go on with what an earlier visit, or another tab, has left. */
export const resume = () => trash().forEach(schedule);

/** Delete them now, though the page may be closing: those of this tab, or all. */
export function empty(all = false) {
  const gone = trash().filter((id) => all || mine.has(id));
  return Promise.allSettled(
    gone.map(async (id) => {
      const name = nameOf(id); // its account may have logged out when the answer comes
      const { response } = await send("DELETE", `deletePost/${id}`, undefined, { keepalive: true }, current()?.token);
      if (response.ok || response.status === 404) browser.set(name, null);
    }),
  );
}
