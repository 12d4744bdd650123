/** Before anything is painted: the language, what the server has, and whether somebody is logged in. */

import { $, $$, has } from "./dom.js";
import { current } from "./session.js";
import { language, t, translate } from "./words.js";

document.documentElement.lang = language;
document.documentElement.dataset.view = current() ? "desk" : "entrance";
$("email").textContent = current()?.email ?? "";
translate(document);
for (const element of $$("[data-if]")) element.hidden = !has(element.dataset.if);
for (const button of $$(".language")) {
  button.textContent = t("otherLanguage");
  button.lang = language === "en" ? "ru" : "en";
}
