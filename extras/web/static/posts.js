/** The list: newest first, a page at a time, all posts or those that are sought. */

import { Refusal, request } from "./api.js";
import { composer } from "./composer.js";
import { $, announce, clone, say } from "./dom.js";
import { showPlace } from "./place.js";
import { changed, current, draftKey, draftsOf, saveDraft } from "./session.js";
import { browser } from "./storage.js";
import { showText } from "./text.js";
import { discard, empty, restore, timeToUndo, trash } from "./trash.js";
import { ago, exactly, has, t } from "./words.js";

const PAGE = 50;

let items = new Map(); // postID -> its <li>, which has `post`, and `editor` while it is edited, `undo` once it is deleted
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
  const shown = [...items.values()].filter(({ undo, post }) => undo || !gone.includes(post.postID));
  const kept = new Set(shown);
  for (const item of [...$("list").children]) if (!kept.has(item)) item.remove();
  shown.forEach((item, i) => {
    const there = $("list").children[i];
    if (there !== item) $("list").insertBefore(item, there ?? null);
  });
  const n = shown.filter((item) => !item.undo).length;
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

const load = (address, before) => (loading = answer(++turn, address, before));

/** The page's posts, after those that are known to be before it. */
async function answer(mine, address, before) {
  say($("list-error"), "");
  failed = undefined;
  let page;
  try {
    page = await request("GET", address);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (mine !== turn) return [];
    failed = () => load(address, before);
    say($("list-error"), error.message);
    show();
    return [];
  }
  if (mine !== turn) return [];
  const end = page.next ? Number(new URL(page.next).searchParams.get("before")) : 0;
  const isAgain = !before.size && next !== undefined;
  const older = [...items].filter(([id]) => isAgain && id < end); // of large posts, a page has fewer than were shown
  const fresh = page.data.map((post) => [post.postID, itemOf(post, items.get(post.postID))]);
  items = new Map([...before, ...fresh, ...older]);
  if (!older.length) next = page.next ?? null;
  if (!next && !status && !needle) forgetEdits();
  show();
  return page.data;
}

/** Of posts that are gone. */
function forgetEdits() {
  const known = new Set([...items.keys(), "new"].map((id) => draftKey(id)));
  for (const name of draftsOf(current()?.email)) if (!known.has(name)) saveDraft(name, "");
}

/** Fetch again as many posts as are shown. */
export function refresh() {
  const limit = String(Math.min(1000, Math.max(PAGE, items.size)));
  const query = new URLSearchParams({ limit, ...(status && { status }), ...(needle && { text: needle }) });
  return load(`${needle ? "findPosts" : "getPosts"}?${query}`, new Map());
}

/** The whole list, from its top: a new post may not be among those that were sought. */
export function refreshAll() {
  return status || needle ? seek("", "") : refresh();
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
  if (newStatus === status && newNeedle === needle) return;
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

/** @param {any} [known] the one that is shown, which stays if it can */
function itemOf(post, known) {
  if (known?.editor || known?.undo || (known?.needle === needle && same(known.post, post))) return known;
  const item = clone("post");
  const part = (selector) => item.querySelector(selector);
  Object.assign(item, { post, needle, place: part(".place"), share: part(".share") });
  if (timeToUndo(post.postID) > 0) return offerUndo(item);
  showPlace(item);
  const time = part("time");
  time.dateTime = post.createdAt;
  time.title = exactly(post.createdAt);
  tell(time);
  part("article").ariaLabel = `${post.text.trim().slice(0, 60)}, ${time.title}`;
  part(".badge").hidden = post.status !== "draft";
  part(".edited").hidden = post.updatedAt === post.createdAt;
  part(".edited").title = exactly(post.updatedAt);
  showText(part(".text"), part(".whole"), post.text, needle);
  part(".copy").hidden = !navigator.clipboard; // it needs TLS
  part(".copy").onclick = async () => [await navigator.clipboard.writeText(post.text), announce(t("copied"))];
  part(".delete").onclick = ({ detail }) => {
    if (detail > 1) return; // the second click of two was not for this post
    discard(post.postID);
    renew(item);
  };
  part(".edit").hidden = !has("editPost");
  part(".edit").onclick = () => edit(item).elements.text.focus();
  if (has("editPost") && browser.get(draftKey(post.postID))) edit(item); // was interrupted
  return item;
}

/** Put the post in its place as it is now, and the focus there. */
function renew(item, focus = "article, button") {
  const fresh = itemOf(item.post);
  items.set(item.post.postID, fresh);
  item.replaceWith(fresh);
  fresh.querySelector(focus).focus();
  show();
}

/** In the post's place, while there is time. */
function offerUndo(item) {
  const { postID } = item.post;
  item.undo = clone("undo");
  item.replaceChildren(item.undo);
  const [words, button] = item.undo.children;
  words.id = `undo-${postID}`;
  button.setAttribute("aria-describedby", words.id);
  button.onclick = () => [restore(postID), renew(item)];
  setTimeout(close, timeToUndo(postID), item);
  return item;
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
addEventListener("storage", ({ key }) => key?.includes(" trash ") && show()); // another tab deleted one

/** Put the form for the text in the post's place. */
function edit(item) {
  async function send(body, sent) {
    const { editor, post } = item;
    const headers = new Headers(editor.version && { "If-Match": `"${editor.version}"` });
    const { data } = await request("PUT", `editPost/${post.postID}`, body, { headers }).catch((refusal) => {
      if (refusal.status !== 412) throw refusal;
      editor.version = undefined;
      refusal.message = t("conflict");
      throw refusal;
    });
    item.post = data;
    editor.version = data.version;
    changed();
    if (editor.elements.text.value !== sent) return announce(t("savedBut"));
    saveDraft(draftKey(post.postID), "");
    renew(item);
    announce(t("saidEdited"));
  }

  function leave() {
    renew(item, ".edit");
    refresh();
  }

  item.editor = composer(send, item.post, leave);
  item.querySelector("article").replaceWith(item.editor);
  return item.editor;
}
