/** What people wrote, on the page: links that lead on, what was searched for marked, and no length that freezes it. */

import { create } from "./dom.js";
import { t } from "./words.js";

const SHORT = 1000; // characters that are shown at first; how many lines, says the style sheet
// What is laid out at a time, when it comes into view: up to a line break where there is one, else to a space.
const PIECES = /[^]{1,8000}(?:\n|$)|[^]{1,8000} |[^]{1,8000}/gu;
// Brackets belong to a link in pairs; punctuation at its end, or after it, to the sentence.
const LINKS = /(https?:\/\/(?:\([^\s<>"()]*\)|[^\s<>"()])*(?:\([^\s<>"()]*\)|[^\s<>"().,;:!?'’”»\]}…。，、；：！？）」』]))/i;

/** The form in which the extra `search` compares, near enough. */
const fold = (text) => text.normalize("NFKC").toUpperCase().toLowerCase().replaceAll("ς", "σ");
const graphemes = new Intl.Segmenter();

/** Nodes of the text, with each place that has what is sought marked. */
function marked(text, needle) {
  const sought = fold(needle);
  if (!sought || !fold(text).includes(sought)) return [text];
  let folded = "";
  const places = []; // in the text, of each place in `folded`
  for (const { segment, index } of graphemes.segment(text)) {
    folded += fold(segment);
    while (places.length < folded.length) places.push([index, index + segment.length]);
  }
  const nodes = [];
  let from = 0;
  for (let at = folded.indexOf(sought); at >= 0; at = folded.indexOf(sought, at + sought.length)) {
    const [start, end] = [places[at][0], places[at + sought.length - 1][1]];
    nodes.push(text.slice(from, start), create("mark", {}, text.slice(start, end)));
    from = end;
  }
  return [...nodes, text.slice(from)];
}

const link = (href, needle) =>
  create("a", { href, rel: "noopener nofollow", target: "_blank" }, ...marked(href, needle));

const linked = (text, needle) =>
  text.split(LINKS).flatMap((part, i) => (i % 2 && URL.canParse(part) ? link(part, needle) : marked(part, needle)));

/** The beginning, or what is around the first place that was searched for. */
function excerpt(text, needle) {
  const found = needle ? fold(text).indexOf(fold(needle)) : 0;
  const start = found < SHORT / 3 ? 0 : Math.max(text.lastIndexOf("\n", found) + 1, found - 80);
  if (!start && text.length < SHORT * 1.2) return text;
  const part = text.slice(start, start + SHORT).replace(/^\p{Cs}|\p{Cs}$/gu, ""); // no half characters
  return `${start ? "…" : ""}${part}${start + SHORT < text.length ? "…" : ""}`;
}

/** Show the text in the box, at first its beginning; the button shows more, and less again. */
export function showText(box, button, text, needle) {
  const part = excerpt(text, needle);
  let open = false;

  async function show() {
    box.classList.toggle("clamped", !open);
    button.textContent = t(open ? "showLess" : "showMore");
    button.ariaExpanded = String(open);
    if (!open || part === text) return box.replaceChildren(...linked(part, needle));
    box.replaceChildren();
    for (const [piece] of text.matchAll(PIECES)) {
      if (!open) return; // less was wanted meanwhile
      box.append(create("div", {}, ...linked(piece, needle)));
      await new Promise(requestAnimationFrame);
    }
  }

  button.onclick = () => {
    open = !open;
    show();
    if (!open) box.closest("article").scrollIntoView({ block: "nearest" });
  };
  const isWhole = () => !open && part === text && box.scrollHeight <= box.clientHeight + 1;
  new ResizeObserver(() => (button.hidden = isWhole())).observe(box);
  show();
}
