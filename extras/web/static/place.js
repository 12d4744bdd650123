/** Where posts are public: at the handle of who is logged in, if there is one. */

import { $, $$, announce } from "./dom.js";
import { setPublic, t, translate } from "./words.js";

/** @type {string | null | undefined} */
let handle; // undefined: it is not known

/** From now on, the words and links are those of posts that are public at this handle, or private if it is null. */
export function setHandle(value) {
  if (value === handle) return;
  handle = value;
  setPublic(value !== null);
  for (const id of ["desk", "profile"]) translate($(id));
  for (const link of $$(".public-page")) [link.href, link.textContent] = [`@${value}`, `@${value}`];
  for (const element of $$(".if-public")) element.hidden = !value;
  $("place").hidden = value === undefined;
  for (const item of $("list").children) showPlace(item);
}

/** On a post, whether it is public, and where. */
export function showPlace({ place, share, post }) {
  const isPublic = handle && post.status === "published";
  place.hidden = !isPublic;
  place.href = `@${handle}/${post.postID}`;
  share.hidden = !isPublic || !navigator.clipboard; // it needs TLS
  share.onclick = () => copyLink(place);
}

async function copyLink(link) {
  await navigator.clipboard.writeText(link.href);
  announce(t("linkCopied"));
}

$("place").querySelector("button").onclick = () => {
  if (handle) return copyLink($("place").querySelector("a"));
  $("settings").click();
  $("profile").elements.handle.focus();
};
