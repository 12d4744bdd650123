/** The list: newest first, a page at a time, all posts or those that are sought. */

import { Refusal, insist, isUnknown, keyed, request } from "./api.js";
import { composer } from "./composer.js";
import { $, announce, clone, copy, say } from "./dom.js";
import { browser, changed, current, draftKey, drafts, saveDraft } from "./session.js";
import { showText } from "./text.js";
import { discard, empty, restore, timeToUndo, trash } from "./trash.js";
import { ago, exactly, has, t } from "./words.js";

const PAGE = 50;

let items = new Map(); // postID -> its <li>, which has `post`, and is `busy` while that is edited or can be restored
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
  turn += 1;
  [status, needle, next, failed] = [newStatus, newNeedle, undefined, undefined];
  if ($("search").value.trim() !== needle) $("search").value = needle;
  for (const button of $("filters").children) button.ariaPressed = String(button.value === status);
  say($("list-error"), "");
  $("more").hidden = true;
}

/** Make the list as `items` has it. What is in its place already is not touched, as moving it costs its focus. */
function show() {
  const gone = trash();
  const shown = [...items.values()].filter(({ isDeleted, post }) => isDeleted || !gone.includes(post.postID));
  const focused = document.activeElement?.closest("#list > li");
  const neighbour = focused?.nextElementSibling ?? focused?.previousElementSibling;
  for (const item of [...$("list").children]) if (!shown.includes(item)) item.remove();
  shown.forEach((item, i) => {
    const there = $("list").children[i];
    if (there !== item) $("list").insertBefore(item, there ?? null);
  });
  if (focused && !focused.isConnected) focusInstead(focused, neighbour);
  const n = shown.filter((item) => !item.isDeleted).length;
  const [some, all] = needle ? ["foundSome", "foundAll"] : ["shownSome", "shownAll"];
  $("skeleton").hidden = next !== undefined || shown.length > 0 || Boolean(failed);
  $("count").textContent = next === undefined || (!n && !needle) ? "" : t(next ? some : all, { n });
  $("tools").hidden = !shown.length && !status && !needle;
  const nothing = needle ? "nothingFound" : status ? "nothingSuch" : "nothingYet";
  say($("empty"), shown.length || next !== null ? "" : t(nothing));
  $("more").hidden = !next && !failed;
  $("more").textContent = t(failed ? "again" : "more");
  nearEnd.disconnect(); // it tells again whether the end is near
  if (next && !failed) nearEnd.observe($("more"));
}

/** Of an item that was replaced, or else is gone. */
function focusInstead(item, neighbour) {
  const heir = items.get(item.post.postID) ?? neighbour;
  (heir?.querySelector("article, button") ?? $("list-title")).focus();
}

const load = (address, before) => (loading = answer(++turn, address, before));

/** The page's posts, after those that are known to be before it. */
async function answer(mine, address, before) {
  say($("list-error"), "");
  const page = await request("GET", address).catch((refusal) => refusal);
  if (mine !== turn) return [];
  failed = page instanceof Refusal && (() => load(address, before));
  if (failed) say($("list-error"), page.message);
  else accept(page, before);
  show();
  return page.data ?? [];
}

function accept(page, before) {
  const end = page.next ? Number(new URL(page.next).searchParams.get("before")) : 0;
  const isAgain = !before.size && next !== undefined;
  const older = [...items].filter(([id]) => isAgain && id < end); // of large posts, a page has fewer than were shown
  const fresh = page.data.map((post) => [post.postID, itemOf(post, items.get(post.postID))]);
  items = new Map([...before, ...fresh, ...older]);
  if (!older.length) next = page.next ?? null;
  if (!next && !status && !needle) forgetEdits();
}

/** Of posts that are gone. */
function forgetEdits() {
  const known = [...items.keys(), "new"].map(draftKey);
  for (const name of drafts()) if (!known.includes(name)) saveDraft(name, "");
}

/** Fetch again as many posts as are shown. */
export function refresh() {
  const limit = String(Math.min(1000, Math.max(PAGE, items.size)));
  const query = new URLSearchParams({ limit, ...(status && { status }), ...(needle && { text: needle }) });
  return load(`${needle ? "findPosts" : "getPosts"}?${query}`, new Map());
}

async function more(focus) {
  nearEnd.disconnect();
  const before = turn;
  await loading; // it may bring newer posts, so it is not superseded
  if (turn !== before) return;
  const posts = failed ? await failed() : next ? await load(next, items) : [];
  if (focus && posts.length) items.get(posts[0].postID)?.querySelector("article")?.focus();
}

const nearEnd = new IntersectionObserver(([end]) => end?.isIntersecting && more(false), { rootMargin: "600px" });
$("more").onclick = () => more(true);

function seek(newStatus, newNeedle) {
  choose(newStatus, newNeedle);
  return refresh();
}

$("filters").onclick = ({ target }) => seek(target.value ?? status, needle);
let typing = 0;
$("search").oninput = () => {
  clearTimeout(typing);
  typing = setTimeout(() => seek(status, $("search").value.trim()), 300);
};

const tell = (time) => (time.textContent = ago(time.dateTime));
setInterval(() => $("list").querySelectorAll("time").forEach(tell), 30_000);

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

/** Send a new post, and see to it that it is there once. */
export async function add(post, { key, inform }) {
  const headers = { "Idempotency-Key": key };
  // It may not be among those that were sought.
  const showAll = () => (status || needle ? seek("", "") : refresh());
  try {
    await insist(inform, "POST", "addPost", post, { headers });
  } catch (refusal) {
    const isUnsure = !keyed && isUnknown(refusal) && refusal.said !== "503.saved";
    if (isUnsure || refusal.fields["Idempotency-Key"]) await showAll();
    if (keyed && isUnknown(refusal)) refusal.message = t("failed");
    if (isUnsure && refusal.status === 0) refusal.message += ` ${t("unsure")}`;
    throw refusal;
  }
  changed();
  showAll();
}

// A post

for (const button of $("post").content.querySelectorAll(".copy, .share")) button.hidden = !navigator.clipboard; // needs TLS

/** Give it the address of what is public, the page of a handle or a post there. */
export function point(link) {
  link.href = `@${document.documentElement.dataset.handle}${link.dataset.at}`;
}

/** @param {any} [known] the one that is shown, which stays if it can */
function itemOf(post, known) {
  if (known?.busy || (known?.needle === needle && same(known.post, post))) return known;
  const { postID } = post;
  const item = Object.assign(clone("post"), { post, needle });
  if (timeToUndo(postID) > 0) return offerUndo(item);
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
  point(place);
  showText(part(".text"), part(".whole"), post.text, needle);
  part(".share").onclick = () => copy(place.href, t("linkCopied"));
  part(".copy").onclick = () => copy(post.text, t("copied"));
  part(".edit").onclick = () => edit(item).elements.text.focus();
  part(".delete").onclick = ({ detail }) => {
    if (detail > 1) return; // the second click of two was not for this post
    discard(postID);
    renew(post);
  };
  if (has("editPost") && browser.get(draftKey(postID))) edit(item); // was interrupted
  return item;
}

/** Put the post in its place as it is now; the focus stays there. */
function renew(post) {
  items.set(post.postID, itemOf(post));
  show();
}

/** In the post's place, while there is time. */
function offerUndo(item) {
  const { postID } = item.post;
  item.busy = item.isDeleted = true;
  item.replaceChildren(clone("undo"));
  const [words, button] = item.firstElementChild.children;
  words.id = `undo-${postID}`;
  button.setAttribute("aria-describedby", words.id);
  button.onclick = () => {
    restore(postID);
    renew(item.post);
  };
  setTimeout(close, timeToUndo(postID), item);
  return item;
}

/** It can be undone no more. */
function close(item) {
  if (items.get(item.post.postID) === item && items.delete(item.post.postID)) show();
}

addEventListener("pagehide", () => {
  empty();
  for (const item of items.values()) if (item.isDeleted) close(item);
});
addEventListener("pageshow", ({ persisted }) => persisted && current() && refresh());
addEventListener("storage", ({ key }) => key?.includes(" trash ") && show()); // another tab deleted one

/** Put the form for the text in the post's place. */
function edit(item) {
  const { postID } = item.post;
  async function send(body, { version }) {
    const headers = new Headers(version && { "If-Match": `"${version}"` });
    const { data } = await request("PUT", `editPost/${postID}`, body, { headers });
    changed();
    return data;
  }
  function leave(saved) {
    renew(saved ?? item.post);
    if (!saved) items.get(postID).querySelector(".edit").focus();
    refresh(); // it may be another now, or no more among those that are sought
  }
  const editor = composer(send, item.post, leave);
  item.busy = true;
  item.replaceChildren(editor);
  return editor;
}
