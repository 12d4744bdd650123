/** The list: newest first, a page at a time, all posts or those that are sought. */

import { Refusal, request } from "./api.js";
import { composer } from "./composer.js";
import { $, announce, clone, say } from "./dom.js";
import { showPlace } from "./place.js";
import { changed, current, draftKey, dropDraftsBut, loadDraft, saveDraft } from "./session.js";
import { showText } from "./text.js";
import { GRACE, discard, empty, restore, trash, trashKey } from "./trash.js";
import { ago, exactly, has, t } from "./words.js";

const PAGE = 50;

let items = new Map(); // postID -> its <li>, which has `post` and perhaps `editor`, or `undo` once it is deleted
let next; // the address of older posts; null: there are none; undefined: not loaded yet
let failed; // what to try again, if the last load failed
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
  const kept = new Set([...items.values()].filter((item) => item.undo || !(item.post.postID in gone)));
  for (const item of [...$("list").children]) if (!kept.has(item)) item.remove();
  let place = $("list").firstElementChild;
  for (const item of kept) {
    if (item === place) place = place.nextElementSibling;
    else $("list").insertBefore(item, place);
  }
  const n = [...kept].filter((item) => !item.undo).length;
  const [some, all] = needle ? ["foundSome", "foundAll"] : ["shownSome", "shownAll"];
  $("skeleton").hidden = next !== undefined || kept.size > 0 || Boolean(failed);
  $("count").textContent = next === undefined || (!n && !needle) ? "" : t(next ? some : all, { n });
  $("tools").hidden = !kept.size && !status && !needle;
  say($("empty"), kept.size || next !== null ? "" : t(needle ? "nothingFound" : status ? "nothingSuch" : "nothingYet"));
  $("more").hidden = !next;
  $("more").textContent = t("more");
  nearEnd.disconnect(); // it tells again whether the end is near
  if (next) nearEnd.observe($("more"));
}

const olderThan = (address, known) => {
  const before = Number(new URL(address).searchParams.get("before"));
  return [...known].filter(([id]) => id < before);
};

async function load(address, before) {
  say($("list-error"), "");
  failed = undefined;
  const mine = ++turn;
  try {
    const page = await request("GET", address);
    if (mine !== turn) return [];
    const known = items;
    const isAgain = before.size === 0 && next !== undefined;
    items = before;
    for (const post of page.data) items.set(post.postID, itemOf(post, known.get(post.postID)));
    const older = isAgain && page.next ? olderThan(page.next, known) : [];
    for (const [id, item] of older) items.set(id, item); // of large posts, a page has fewer than were shown
    if (!older.length) next = page.next ?? null;
    if (!next && !status && !needle) dropDraftsBut(items);
    show();
    return page.data;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (mine !== turn) return [];
    failed = () => load(address, before);
    show();
    nearEnd.disconnect();
    say($("list-error"), error.message);
    $("more").hidden = false;
    $("more").textContent = t("again");
    return [];
  }
}

/** Fetch again as many posts as are shown. */
export function refresh() {
  const limit = String(Math.min(1000, Math.max(PAGE, items.size)));
  const query = new URLSearchParams({ limit, ...(status && { status }), ...(needle && { text: needle }) });
  return load(`${needle ? "findPosts" : "getPosts"}?${query}`, new Map());
}

/** The whole list, from its top: a new post may not be among those that were sought. */
export function refreshAll() {
  if (status || needle) choose("", "");
  return refresh();
}

async function more(focus) {
  nearEnd.disconnect();
  const posts = await (failed ?? (() => load(next, items)))();
  if (focus && posts.length) items.get(posts[0].postID)?.querySelector("article")?.focus();
}

const nearEnd = new IntersectionObserver(([end]) => end?.isIntersecting && next && !failed && more(false), {
  rootMargin: "600px",
});
$("more").onclick = () => more(true);
$("filters").onclick = ({ target }) => {
  if (target.value === undefined || target.value === status) return;
  choose(target.value, needle);
  refresh();
};

let typing = 0;
$("search").oninput = () => {
  clearTimeout(typing);
  typing = setTimeout(() => {
    if ($("search").value.trim() === needle) return;
    choose(status, $("search").value.trim());
    refresh();
  }, 300);
};

function tell(time) {
  const words = ago(time.dateTime);
  if (time.textContent !== words) time.textContent = words;
}
setInterval(() => $("list").querySelectorAll("time").forEach(tell), 30_000);

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

/** @param {any} [known] */
function itemOf(post, known) {
  if (known && (known.editor || known.undo || (same(known.post, post) && known.needle === needle))) return known;
  const item = clone("post");
  const part = (selector) => item.querySelector(selector);
  const time = part("time");
  Object.assign(item, { post, needle, place: part(".place"), share: part(".share") });
  showPlace(item);
  time.dateTime = post.createdAt;
  time.title = exactly(post.createdAt);
  tell(time);
  part("article").ariaLabel = `${post.text.trim().slice(0, 60)}, ${time.title}`;
  part(".badge").hidden = post.status !== "draft";
  part(".badge").textContent = t("draft");
  part(".edited").hidden = post.updatedAt === post.createdAt;
  part(".edited").title = exactly(post.updatedAt);
  showText(part(".text"), part(".whole"), post.text, needle);
  part(".copy").hidden = !navigator.clipboard; // it needs TLS
  part(".copy").onclick = async () => [await navigator.clipboard.writeText(post.text), announce(t("copied"))];
  part(".delete").onclick = () => remove(item);
  part(".edit").hidden = !has("editPost");
  part(".edit").onclick = () => edit(item).elements.text.focus();
  if (has("editPost") && loadDraft(draftKey(post.postID)) !== null) edit(item); // was interrupted
  return item;
}

/** Put another item in its place. */
function replace(item, fresh) {
  items.set(item.post.postID, fresh);
  item.replaceWith(fresh);
  fresh.querySelector("article").focus();
  show();
}

/** Offer to undo it, in the post's place, while there is time. */
function remove(item) {
  const { postID } = item.post;
  discard(postID);
  item.undo = clone("undo");
  item.replaceChildren(item.undo);
  const [words, button] = item.undo.children;
  words.id = `undo-${postID}`;
  button.setAttribute("aria-describedby", words.id);
  button.onclick = () => [restore(postID), replace(item, itemOf(item.post))];
  button.focus();
  show();
  setTimeout(close, GRACE, item);
}

/** It can be undone no more. */
function close(item) {
  if (items.get(item.post.postID) !== item) return;
  const neighbour = item.nextElementSibling ?? item.previousElementSibling;
  const focused = item.contains(document.activeElement);
  items.delete(item.post.postID);
  show();
  if (focused) (neighbour?.querySelector("article, button") ?? $("list-title")).focus();
}

addEventListener("pagehide", () => {
  empty();
  for (const item of items.values()) if (item.undo) close(item);
});
addEventListener("pageshow", ({ persisted }) => persisted && current() && refresh());
addEventListener("storage", ({ key }) => key === trashKey() && show());

/** Put the form for the text in the post's place. */
function edit(item) {
  const article = item.querySelector("article");
  let { post } = item;

  function leave() {
    item.editor.replaceWith(article);
    item.editor = undefined;
    article.querySelector(".edit").focus();
    refresh();
  }

  async function send(body, sent) {
    const { editor } = item;
    const headers = new Headers(editor.version && { "If-Match": `"${editor.version}"` });
    try {
      ({ data: post } = await request("PUT", `editPost/${post.postID}`, body, { headers }));
    } catch (refusal) {
      if (refusal.status !== 412) throw refusal;
      editor.version = undefined;
      refusal.message = t("conflict");
      throw refusal;
    }
    item.post = post;
    editor.version = post.version;
    changed();
    if (editor.elements.text.value !== sent) return announce(t("savedBut"));
    saveDraft(draftKey(post.postID), "");
    replace(item, itemOf(post));
    announce(t("saidEdited"));
  }

  item.editor = composer(send, post, leave);
  article.replaceWith(item.editor);
  return item.editor;
}
