/** What people wrote, on the page: links that lead on, what was searched for marked, and no length that freezes it. */

import { t } from "./words.js";

const SHORT = 1000; // characters that are shown at first; how many lines, says the style sheet
const PIECE = 8000; // characters that are laid out at a time, when they come into view
const LINK = /https?:\/\/[^\s<>"]+/gi;
const TAIL = ".,;:!?'’”»)]}…";

/** The form in which the extra `search` compares, near enough. */
const fold = (text) => text.normalize("NFKC").toUpperCase().toLowerCase().replaceAll("ς", "σ");

/** Where the text has what is sought: a start and an end of each place. */
function* places(text, needle) {
  const sought = fold(needle);
  let folded = fold(text);
  let at = (index) => [index, index + 1];
  if (folded.length !== text.length) {
    const parts = [...text.matchAll(/\P{M}\p{M}*|\p{M}+/gsu)];
    const ends = parts.flatMap(({ 0: part, index }) => Array(fold(part).length).fill([index, index + part.length]));
    folded = parts.map(([part]) => fold(part)).join("");
    at = (index) => ends[index];
  }
  for (let found = folded.indexOf(sought); sought && found >= 0; found = folded.indexOf(sought, found + sought.length)) {
    yield [at(found)[0], at(found + sought.length - 1)[1]];
  }
}

function marked(text, needle) {
  if (!needle || !text) return [text];
  const nodes = [];
  let from = 0;
  for (const [start, end] of places(text, needle)) {
    const mark = document.createElement("mark");
    mark.textContent = text.slice(start, end);
    nodes.push(text.slice(from, start), mark);
    from = end;
  }
  return [...nodes, text.slice(from)];
}

function linked(text, needle) {
  const nodes = [];
  let from = 0;
  for (const { 0: found, index } of text.matchAll(LINK)) {
    let end = found.length;
    while (TAIL.includes(found[end - 1])) end -= 1;
    const address = found.slice(0, end);
    if (!URL.canParse(address)) continue;
    const link = document.createElement("a");
    Object.assign(link, { href: address, rel: "noopener nofollow", target: "_blank" });
    link.append(...marked(address, needle));
    nodes.push(...marked(text.slice(from, index), needle), link);
    from = index + end;
  }
  return [...nodes, ...marked(text.slice(from), needle)];
}

/** Not between the halves of a character. */
const whole = (text, place) => (/[\uD800-\uDBFF]/.test(text[place - 1] ?? "") ? place - 1 : place);

/** The beginning, or what is around the first place that was searched for. */
function excerpt(text, needle) {
  const found = needle ? fold(text).indexOf(fold(needle)) : 0;
  const start = found < SHORT / 3 ? 0 : Math.max(text.lastIndexOf("\n", found) + 1, whole(text, found - 80));
  if (!start && text.length < SHORT * 1.2) return { part: text, cut: false };
  const end = whole(text, start + SHORT);
  return { part: `${start ? "…" : ""}${text.slice(start, end)}${end < text.length ? "…" : ""}`, cut: true };
}

/** At line breaks where there are any, else at spaces. */
function* pieces(text) {
  for (let from = 0, to; from < text.length; from = to) {
    const piece = text.slice(from, whole(text, from + PIECE));
    const end = Math.max(piece.lastIndexOf("\n"), piece.includes("\n") ? 0 : piece.lastIndexOf(" ")) + 1;
    to = from + (from + piece.length < text.length && end ? end : piece.length);
    yield text.slice(from, to);
  }
}

const fits = new ResizeObserver((entries) => {
  for (const { target } of entries) target.dispatchEvent(new Event("laid-out"));
});

/** Show the text in the box, at first its beginning; the button shows more, and less again. */
export function showText(box, button, text, needle) {
  const { part, cut } = excerpt(text, needle);
  let open = false;

  async function show() {
    box.classList.toggle("clamped", !open);
    button.textContent = t(open ? "showLess" : "showMore");
    button.ariaExpanded = String(open);
    if (!open || !cut) return box.replaceChildren(...linked(part, needle));
    box.replaceChildren();
    let pause = performance.now() + 10;
    for (const piece of pieces(text)) {
      if (performance.now() > pause) {
        await new Promise(requestAnimationFrame);
        pause = performance.now() + 10;
      }
      if (!open) return; // less was wanted meanwhile
      const block = document.createElement("div");
      block.append(...linked(piece, needle));
      box.append(block);
    }
  }

  button.hidden = !cut;
  button.onclick = () => {
    open = !open;
    show();
    if (!open) box.closest("article").scrollIntoView({ block: "nearest" });
  };
  box.addEventListener("laid-out", () => (button.hidden = !open && !cut && box.scrollHeight <= box.clientHeight + 1));
  fits.observe(box);
  show();
}
