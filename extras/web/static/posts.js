/** The list: newest first, a page at a time, all posts or those that are sought. */

import { Refusal, request, send } from "./api.js";
import { composer } from "./composer.js";
import { $, clone, copy, say } from "./dom.js";
import { NAME, browser, changed, current, draftKey, drafts } from "./session.js";
import { showText } from "./text.js";
import { ago, exactly, has, t, translate } from "./words.js";

const PAGE = 50;

let items = new Map(); // postID -> its <li>, which has `post`
const undos = new Map(); // postID -> the <li> in its place, while this tab offers to restore it
let next; // the address of older posts; null: there are none; undefined: not loaded yet
let failed; // what to try again, if the last load failed
let loading = Promise.resolve();
let turn = 0; // of loads: the answer to one that another has superseded is dropped
let status = "";
let needle = ""; // what is sought

/** Forget all posts, for another account or none. */
export function reset() {
  items = new Map();
  choose("", "");
  show();
}

/** From now on, the list is of posts with this status, or any, and this text. */
function choose(newStatus, newNeedle) {
  [status, needle, next, failed] = [newStatus, newNeedle, undefined, undefined];
  if ($("search").value.trim() !== needle) $("search").value = needle;
  for (const button of $("filters").children) button.ariaPressed = String(button.value === status);
}

/** Make the list as `items` has it. What is in its place already is not touched, as moving it costs its focus. */
function show() {
  const gone = trash().filter((id) => !undos.has(id));
  const shown = [...items.values()].filter(({ post }) => !gone.includes(post.postID));
  const focused = /** @type {any} */ (document.activeElement?.closest("#list > li"));
  const neighbour = focused?.nextElementSibling ?? focused?.previousElementSibling;
  for (const item of [...$("list").children]) if (!shown.includes(item)) item.remove();
  shown.forEach((item, i) => {
    const there = $("list").children[i];
    if (there === item) return;
    translate(item); // the handle may have come, or gone, since it was made
    $("list").insertBefore(item, there ?? null);
  });
  if (focused && !focused.isConnected) {
    const heir = items.get(focused.post.postID) ?? neighbour;
    (heir?.querySelector("article, button") ?? $("list-title")).focus();
  }
  const n = shown.filter(({ post }) => !undos.has(post.postID)).length;
  const [some, all] = needle ? ["foundSome", "foundAll"] : ["shownSome", "shownAll"];
  $("skeleton").hidden = next !== undefined || shown.length > 0 || Boolean(failed);
  $("count").textContent = next === undefined || (!n && !needle) ? "" : t(next ? some : all, { n });
  $("tools").hidden = !shown.length && !status && !needle;
  const nothing = needle ? "nothingFound" : status ? "nothingSuch" : "nothingYet";
  $("empty").dataset.t = shown.length || next !== null ? "" : nothing;
  $("empty").textContent = t($("empty").dataset.t); // again, when it is known whether posts are public
  $("more").hidden = !next && !failed;
  $("more").textContent = t(failed ? "again" : "more");
  nearEnd.disconnect(); // it tells again whether the end is near
  if (next && !failed) nearEnd.observe($("more"));
}

const load = (address) => (loading = answer(++turn, address));

/** The page's posts; then it fetches those again that are shown after them, as they may be others now. */
async function answer(mine, address) {
  say($("list-error"), "");
  const page = await request("GET", address).catch((refusal) => refusal);
  if (mine !== turn) return [];
  failed = page instanceof Refusal && (() => load(address));
  if (failed) say($("list-error"), page.message);
  else accept(page, startOf(address));
  show();
  if (page.next && page.next !== next) await answer(mine, page.next);
  return page.data ?? [];
}

/** All posts of the page at this address have smaller ids. */
const startOf = (address) => Number(new URL(address, location.href).searchParams.get("before") ?? Infinity);

function accept(page, start) {
  const end = page.next ? startOf(page.next) : 0;
  const isAgain = next !== undefined;
  // What is newer or older, and what is being edited, also if it is gone.
  const kept = [...items].filter(([id, item]) => isAgain && (id >= start || id < end || item.querySelector(".composer")));
  const fresh = page.data.map((post) => [post.postID, itemOf(post, items.get(post.postID))]);
  items = new Map([...kept, ...fresh].sort(([one], [other]) => other - one));
  if (!kept.some(([id]) => id < end)) next = page.next ?? null;
  if (next || status || needle) return;
  const known = [...items.keys(), "new"].map(draftKey);
  for (const name of drafts()) if (!known.includes(name)) browser.set(name, null); // an edit of a post that is gone
}

/** Fetch again as many posts as are shown. */
export function refresh() {
  const limit = String(Math.min(1000, Math.max(PAGE, items.size)));
  const query = new URLSearchParams({ limit, ...(status && { status }), ...(needle && { text: needle }) });
  return load(`${needle ? "findPosts" : "getPosts"}?${query}`);
}

async function more(focus) {
  nearEnd.disconnect();
  const before = turn;
  await loading; // it may bring newer posts, so it is not superseded
  if (turn !== before) return;
  const posts = failed ? await failed() : next ? await load(next) : [];
  if (focus && posts.length) items.get(posts[0].postID)?.querySelector("article")?.focus();
}

const nearEnd = new IntersectionObserver(([end]) => end?.isIntersecting && more(false), { rootMargin: "600px" });
$("more").onclick = () => more(true);

/** The whole list, from its top: a new post may not be among those that were sought. */
export const showAll = () => (status || needle ? seek("", "") : refresh());

function seek(newStatus, newNeedle) {
  if (newStatus === status && newNeedle === needle) return loading;
  choose(newStatus, newNeedle);
  return refresh();
}

$("filters").onclick = ({ target }) => seek(target.value ?? status, $("search").value.trim());
let typing = 0;
$("search").oninput = () => {
  clearTimeout(typing);
  typing = setTimeout(() => seek(status, $("search").value.trim()), 300);
};

const tell = (time) => (time.textContent = ago(time.dateTime));
setInterval(() => $("list").querySelectorAll("time").forEach(tell), 30_000);

// A post

/** @param {any} [known] the one that is shown, which stays if it can */
function itemOf(post, known = undos.get(post.postID)) {
  const { postID } = post;
  const isSame = known?.needle === needle && JSON.stringify(known.post) === JSON.stringify(post);
  if (isSame || known?.querySelector(".composer") || undos.has(postID)) return known;
  const item = Object.assign(clone("post"), { post, needle });
  const part = (selector) => item.querySelector(selector);
  const [article, time, edited, place] = ["article", "time", ".edited", ".place"].map(part);
  time.dateTime = post.createdAt;
  time.title = exactly(post.createdAt);
  tell(time);
  article.dataset.status = post.status;
  article.ariaLabel = `${post.text.trim().slice(0, 60)}, ${time.title}`;
  edited.hidden = post.updatedAt === post.createdAt;
  edited.title = exactly(post.updatedAt);
  place.dataset.at = `/${postID}`;
  showText(part(".text"), part(".whole"), post.text, needle);
  part(".share").onclick = () => copy(place.href, t("linkCopied"));
  part(".copy").onclick = () => copy(post.text, t("copied"));
  part(".edit").onclick = () => edit(item).elements.text.focus();
  part(".delete").onclick = ({ detail }) => detail > 1 || discard(post); // the second click of two was for another
  if (has("editPost") && browser.get(draftKey(postID))) edit(item); // was interrupted
  return item;
}

/** Put the post in its place as it is now; the focus stays there. */
function renew(post) {
  items.set(post.postID, itemOf(post));
  show();
}

/** Put the form for the text in the post's place. */
function edit(item) {
  const { post } = item;
  function done(saved) {
    renew(saved ?? post);
    if (!saved) items.get(post.postID).querySelector(".edit").focus();
    refresh(); // it may be another now, or no more among those that are sought
  }
  const form = composer(done, post);
  item.replaceChildren(form);
  return form;
}

// Deleted posts, for the seconds in which that can be undone; which, is kept in this browser until they are gone

const GRACE = 8000; // milliseconds
const nameOf = (id) => `${NAME} trash ${current()?.email} ${id}`;
const trash = () => browser.names(nameOf("")).map((name) => Number(name.split(" ").at(-1)));

function discard(post) {
  const { postID } = post;
  const item = Object.assign(clone("undo"), { post });
  const button = item.querySelector("button");
  button.ariaDescription = t("deleted");
  button.onclick = () => {
    undos.delete(postID);
    browser.set(nameOf(postID), null);
    renew(post);
  };
  const time = Date.now() + GRACE;
  browser.set(nameOf(postID), time);
  schedule(postID, time);
  undos.set(postID, item);
  renew(post);
}

const schedule = (id, time) => setTimeout(carryOut, time - Date.now(), id, time);

/** Delete it on the server; later, if that fails now. */
async function carryOut(id, time) {
  if (browser.get(nameOf(id)) !== time) return; // it was restored, and perhaps deleted again since
  close(id);
  try {
    await request("DELETE", `deletePost/${id}`);
    browser.set(nameOf(id), null);
    changed();
  } catch ({ status }) {
    if (status !== 401) setTimeout(carryOut, 10_000, id, time); // otherwise at the next log-in
  }
}

/** It can be undone no more. */
function close(id) {
  undos.delete(id);
  if (items.delete(id)) show();
}

/** Go on with what an earlier visit, or another tab, has left. */
export const resume = () => trash().forEach((id) => schedule(id, browser.get(nameOf(id))));

/** Delete them now, though the page may be closing: those of this tab, or all. */
export function empty(all = false) {
  const token = current()?.token;
  const deleteNow = async (id) => {
    const name = nameOf(id); // its account may have logged out when the answer comes
    const { ok } = await send("DELETE", `deletePost/${id}`, undefined, { keepalive: true }, token);
    if (ok) browser.set(name, null);
  };
  const isDue = (id) => all || undos.has(id) || browser.get(nameOf(id)) < Date.now();
  return Promise.allSettled(trash().filter(isDue).map(deleteNow));
}

addEventListener("pagehide", () => {
  empty();
  for (const id of undos.keys()) close(id);
});
addEventListener("pageshow", ({ persisted }) => persisted && current() && refresh());
addEventListener("storage", ({ key }) => key?.includes(" trash ") && show()); // another tab deleted one
