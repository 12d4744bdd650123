/** The texts of the page, and how numbers and times are said in its language. */

const { dataset, lang } = document.documentElement;

/** Whether the server has a route whose path begins with this word. */
export const has = (route) => dataset.routes?.split(" ").includes(route);

/** In the page's language, as `texts.json` has them. Forms of number are set apart by `|`; `NAME.public` stands for
 * NAME where posts are public, or may be: while the page has no `data-handle`, that is not known. Those of refusals
 * are named by their status, and a word that the server says. @type {Record<string, string>} */
export const TEXTS = JSON.parse(document.getElementById("texts")?.textContent ?? "{}");

const locale = navigator.languages.find((tag) => tag.startsWith(lang)) ?? lang;
const plural = new Intl.PluralRules(lang);
const number = new Intl.NumberFormat(locale);
const full = new Intl.DateTimeFormat(locale, { dateStyle: "long", timeStyle: "short" });
const day = new Intl.DateTimeFormat(locale, { dateStyle: "medium" });
const relative = new Intl.RelativeTimeFormat(locale, { numeric: "auto" });

/** The text of this name; `n` chooses the form of number. @param {Record<string, string | number>} [values] */
export function t(name, values = {}) {
  const isPublic = has("profile") && dataset.handle !== "";
  const forms = ((isPublic && TEXTS[`${name}.public`]) || TEXTS[name] || name).split("|");
  const place = { one: 0, few: 1 }[plural.select(Number(values.n ?? 1))] ?? forms.length - 1;
  const show = (value) => (typeof value === "number" ? number.format(value) : value);
  return forms[Math.min(place, forms.length - 1)].replace(/\{(\w+)\}/g, (_, key) => show(values[key]));
}

/** Put the texts in their places: `data-t` names that of an element, `data-t-label` and `data-t-placeholder` others.
 * Links have `data-at` where they lead to what is public: a place at the handle. */
export function translate(root) {
  for (const element of root.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  for (const element of root.querySelectorAll("[data-t-label]")) element.ariaLabel = t(element.dataset.tLabel);
  for (const element of root.querySelectorAll("[data-t-placeholder]")) element.placeholder = t(element.dataset.tPlaceholder);
  for (const link of root.querySelectorAll("[data-at]")) link.href = `@${dataset.handle}${link.dataset.at}`;
}

/** @type {[Intl.RelativeTimeFormatUnit, number][]} */
const UNITS = [["day", 86_400], ["hour", 3600], ["minute", 60], ["second", 1]];

/** "in 15 minutes", of seconds from now. */
export function inTime(seconds) {
  const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? ["second", 1];
  return relative.format(Math.ceil(seconds / size), unit);
}

/** "5 minutes ago" within a week, else the day. */
export function ago(time) {
  const seconds = Math.min(0, (new Date(time).getTime() - Date.now()) / 1000);
  if (seconds < -7 * 86_400) return day.format(new Date(time));
  return seconds > -60 ? t("justNow") : inTime(seconds);
}

export const exactly = (time) => full.format(new Date(time));
