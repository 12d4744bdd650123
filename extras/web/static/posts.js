/** The list: newest first, a page at a time, each text as text. */

import { Refusal, request } from "./api.js";
import { composer } from "./composer.js";
import { $, announce, clone, confirm, say } from "./dom.js";
import { changed, draftKey, dropDraftsBut, loadDraft, saveDraft } from "./session.js";

const PAGE = 50;
const EXCERPT = 2000; // characters of a long text that are shown at first
const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

let items = new Map(); // postID -> its <li>, which has `post` and perhaps `editor`
let next; // the address of older posts; null: there are none; undefined: not loaded yet
let failed; // what to try again, if the last load failed
let turn = 0; // of loads: the answer to one that another has superseded is dropped
let editable = false;

/** Forget all posts, for another account or none. */
export function reset(canEdit) {
  turn += 1;
  items = new Map();
  next = failed = undefined;
  editable = canEdit;
  say($("list-error"), "");
  show();
}

/** Make the list as `items` has it. What is in its place already is not touched, as moving it costs its focus. */
function show() {
  const kept = new Set(items.values());
  for (const item of [...$("list").children]) if (!kept.has(item)) item.remove();
  let place = $("list").firstElementChild;
  for (const item of kept) {
    if (item === place) place = place.nextElementSibling;
    else $("list").insertBefore(item, place);
  }
  $("empty").hidden = items.size > 0 || next === undefined;
  $("more").hidden = !next;
  $("more").textContent = "Show older posts";
}

async function load(address, before) {
  say($("list-error"), "");
  failed = undefined;
  const mine = ++turn;
  try {
    const page = await request("GET", address);
    if (mine !== turn) return [];
    const known = items;
    items = before;
    for (const post of page.data) items.set(post.postID, itemOf(post, known.get(post.postID)));
    next = page.next ?? null;
    if (!next) dropDraftsBut(items);
    show();
    return page.data;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (mine !== turn) return [];
    say($("list-error"), error.message);
    failed = () => load(address, before);
    $("more").hidden = false;
    $("more").textContent = "Try again";
    return [];
  }
}

/** Fetch again as many posts as are shown. */
export const refresh = () => load(`getPosts?limit=${Math.min(1000, Math.max(PAGE, items.size))}`, new Map());

$("more").onclick = async () => {
  const posts = await (failed ?? (() => load(next, items)))();
  if (!posts.length) return;
  announce(`${posts.length} more posts.`);
  items.get(posts[0].postID).querySelector("article")?.focus();
};

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

function itemOf(post, known) {
  if (known && (known.editor || same(known.post, post))) return known;
  const item = clone("post");
  const part = (selector) => item.querySelector(selector);
  const time = part("time");
  item.post = post;
  time.id = `time-${post.postID}`;
  time.dateTime = post.createdAt;
  time.textContent = format.format(new Date(post.createdAt));
  part("article").setAttribute("aria-labelledby", time.id);
  part(".badge").hidden = post.status !== "draft";
  part(".edited").hidden = post.updatedAt === post.createdAt;
  part(".edited").title = format.format(new Date(post.updatedAt));
  showText(part(".text"), part(".whole"), post.text);
  for (const button of item.querySelectorAll("footer button")) button.setAttribute("aria-describedby", time.id);
  part(".delete").onclick = () => remove(item);
  part(".edit").hidden = !editable;
  part(".edit").onclick = () => edit(item).elements.text.focus();
  if (editable && loadDraft(draftKey(post.postID)) !== null) edit(item); // was interrupted
  return item;
}

function showText(paragraph, button, text) {
  paragraph.textContent = text;
  if (text.length <= EXCERPT * 1.5) return;
  paragraph.textContent = `${text.slice(0, EXCERPT).replace(/[\uD800-\uDBFF]$/, "")}…`;
  say(button, `Show all ${text.length.toLocaleString("en")} characters`);
  button.onclick = () => {
    paragraph.textContent = text;
    button.hidden = true;
    button.closest("article").focus();
  };
}

async function remove(item) {
  const { postID, text } = item.post;
  const error = item.querySelector(".error");
  if (!(await confirm("Delete this post for good?", "Delete", text.slice(0, 140)))) return;
  say(error, "");
  try {
    await request("DELETE", `deletePost/${postID}`);
  } catch (refusal) {
    if (refusal.status !== 404) return say(error, refusal.message); // 404: another tab was faster
  }
  const neighbour = item.nextElementSibling ?? item.previousElementSibling;
  items.delete(postID);
  show();
  (neighbour?.querySelector("article") ?? $("list-title")).focus();
  announce("The post is deleted.");
  changed();
}

/** Put the form for the text in the post's place. */
function edit(item) {
  const article = item.querySelector("article");
  let { post } = item;

  function close() {
    item.editor.replaceWith(article);
    item.editor = undefined;
    article.querySelector(".edit").focus();
  }

  async function send(body, sent) {
    const { editor } = item;
    const match = editor.version === undefined ? {} : { "If-Match": `"${editor.version}"` };
    try {
      ({ data: post } = await request("PUT", `editPost/${post.postID}`, body, match));
    } catch (refusal) {
      if (refusal.status !== 412) throw refusal;
      editor.version = undefined;
      refusal.message = "This post was changed elsewhere meanwhile. Save again to replace it, or cancel to see it.";
      throw refusal;
    }
    item.post = post;
    editor.version = post.version;
    changed();
    if (editor.elements.text.value !== sent) return announce("The post is saved, but for what you typed since.");
    saveDraft(draftKey(post.postID), "");
    const fresh = itemOf(post, undefined);
    items.set(post.postID, fresh);
    item.replaceWith(fresh);
    fresh.querySelector("article").focus();
    announce("The post is saved.");
  }

  item.editor = composer(send, post, () => [close(), refresh()]);
  article.replaceWith(item.editor);
  return item.editor;
}
