/** What is painted first: the texts, and the entrance. The desk comes along, and opens when somebody is logged in. */

import { request } from "./api.js";
import { $, $$, clear, onSubmit, say } from "./dom.js";
import * as session from "./session.js";
import { language, switchLanguage, t, translate } from "./words.js";

document.documentElement.lang = language;
translate(document);
for (const button of $$(".language")) {
  button.textContent = t("otherLanguage");
  button.lang = language === "en" ? "ru" : "en";
  button.onclick = switchLanguage;
}

const desk = import("./desk.js");
desk.catch(() => say($("list-error"), t("lost")));

let first = true; // what was typed before the page was ready stays

/** @param {session.Session | null} who */
async function show(who, why) {
  document.documentElement.dataset.view = who ? "desk" : "entrance";
  $("email").textContent = who?.email;
  $("revoke").hidden = true;
  for (const dialog of $$("dialog[open]")) dialog.close();
  for (const form of $$("form")) clear(form);
  if (!first) for (const id of ["credentials", "change-password", "delete-account"]) $(id).reset();
  reveal();
  if (!who) showEntrance(why);
  first = false;
  const { close, open } = await desk;
  if (session.current()?.email === who?.email) (who ? open : close)();
}

function showEntrance(why) {
  const { email, password } = $("credentials").elements;
  say($("why"), why && t(why));
  if (why === "expired") email.value = session.last();
  if (!first || document.activeElement === document.body) (email.value ? password : email).focus();
}

let joining = false;

function reveal() {
  $("credentials").elements.password.type = $("reveal").checked ? "text" : "password";
}

function setMode(join) {
  joining = join;
  const { password } = $("credentials").elements;
  const [name, question, other] = join ? ["signUp", "haveAccount", "logIn"] : ["logIn", "newHere", "signUp"];
  $("entrance-title").textContent = $("credentials").querySelector(".primary").textContent = t(name);
  $("switch").textContent = t(other);
  $("switch").previousElementSibling.textContent = t(question);
  $("password-hint").hidden = !join;
  password.autocomplete = join ? "new-password" : "current-password";
  if (join) password.setAttribute("aria-describedby", "password-hint");
  else password.removeAttribute("aria-describedby");
  clear($("credentials"));
}

$("switch").onclick = () => {
  setMode(!joining);
  say($("why"), "");
  $("credentials").elements.email.focus();
};
$("reveal").onchange = reveal;

onSubmit(
  $("credentials"),
  async ({ elements: { email, password, keep } }) => {
    const credentials = { email: email.value.trim(), password: password.value };
    const { data } = await request("POST", joining ? "signup" : "login", credentials);
    const kept = keep.checked;
    const refresh = kept ? data.refresh_token : undefined;
    setMode(false);
    session.begin({ email: credentials.email.toLowerCase(), token: data.access_token, kept, refresh });
  },
  { 401: "password", 409: "email" },
);

function showNetwork() {
  $("offline").hidden = navigator.onLine;
}

addEventListener("offline", showNetwork);
addEventListener("online", showNetwork);
showNetwork();
session.watch(show, async () => (await desk).refresh());
