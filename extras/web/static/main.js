/** What is painted first: the texts, and the entrance. The desk comes along, and opens when somebody is logged in. */

import { Refusal, request } from "./api.js";
import { $, $$, announce, clear, onSubmit, say } from "./dom.js";
import * as session from "./session.js";
import { browser } from "./storage.js";
import { has, language, switchLanguage, t } from "./words.js";

for (const button of $$(".language")) {
  button.textContent = t("otherLanguage");
  button.lang = language === "en" ? "ru" : "en";
  button.onclick = switchLanguage;
}

const desk = import("./desk.js");
desk.catch(() => say($("list-error"), t("lost")));

/** What a link from a mail is for. Its token is in the page's memory, and nowhere else. */
const link = { kind: "", token: "" };

/** Take a link's token out of the address; whether there was one. */
function readLink() {
  const [, kind, token] = location.hash.match(/^#(reset|verify|change)=([\w-]+)$/) ?? [];
  if (!token || !has("verifyEmail")) return false;
  history.replaceState(null, "", location.pathname + location.search);
  Object.assign(link, { kind, token });
  return true;
}

/** The account has the email that was asked for here, if it was: what this browser keeps for it goes along. */
function renameSession() {
  const who = session.current();
  if (!who?.moving) return;
  for (const id of browser.ids(`${session.NAME} `)) {
    const [kind, email, rest] = id.split(" ");
    if (email !== who.email) continue;
    browser.set(`${session.NAME} ${kind} ${who.moving} ${rest}`, browser.get(`${session.NAME} ${id}`));
    browser.set(`${session.NAME} ${id}`, null);
  }
  session.begin({ ...who, email: who.moving, moving: undefined });
}

let first = true; // what was typed before the page was ready stays

/** @param {session.Session | null} who */
async function show(who, why) {
  const atDesk = who && !link.token;
  document.documentElement.dataset.view = atDesk ? "desk" : "entrance";
  $("email").textContent = who?.email;
  $("revoke").hidden = true;
  for (const dialog of $$("dialog[open]")) dialog.close();
  for (const form of $$("form:not(.composer)")) {
    clear(form);
    if (!first) form.reset();
  }
  reveal();
  if (!atDesk) showEntrance(why);
  first = false;
  const { close, open } = await desk;
  if (session.current()?.email === who?.email) (who && !link.token ? open : close)();
}

function showEntrance(why) {
  const form = $("credentials");
  if (link.token) setMode(link.kind);
  say($("why"), why && t(why));
  if (why === "expired") form.elements.email.value = session.last();
  if (first && document.activeElement !== document.body) return;
  (form.querySelector("input:invalid") ?? form.querySelector(".primary")).focus();
}

function reveal() {
  $("credentials").elements.password.type = $("reveal").checked ? "text" : "password";
}
$("reveal").onchange = reveal;

/** What the entrance is for: its title, what it says, its button; a question, and what leads to the last named instead.
 * @type {Record<string, string[]>} */
const MODES = {
  logIn: ["logIn", "about", "logIn", "newHere", "signUp"],
  signUp: ["signUp", "about", "signUp", "haveAccount", "logIn"],
  forgot: ["forgot", "forgotHint", "sendLink", "", "logIn"],
  reset: ["choosePassword", "chooseHint", "choosePassword", "", "another", "forgot"],
  unconfirmed: ["confirmEmail", "unconfirmed", "sendLink", "", "logIn"],
  verify: ["confirmEmail", "confirmHint", "confirm", "", "another", "unconfirmed"],
  change: ["confirmEmail", "confirmHint", "confirm", "", "logIn"],
};
let mode = "logIn";
const causes = { 401: "password", 409: "email" };

function setMode(name) {
  mode = name;
  const form = $("credentials");
  const { password } = form.elements;
  const [title, hint, button, question, way] = /** @type {string[]} */ (MODES[mode]);
  $("entrance-title").textContent = t(title);
  $("about").textContent = t(hint);
  form.querySelector(".primary").textContent = t(button);
  $("switch").textContent = t(way === "logIn" && session.current() ? "yourPosts" : way);
  $("switch").previousElementSibling.textContent = question && t(question);
  for (const part of $$("[data-in]")) {
    part.hidden = !part.dataset.in.split(" ").includes(mode);
    for (const field of part.querySelectorAll(".field")) field.required = !part.hidden;
  }
  const isNew = mode === "signUp" || mode === "reset";
  form.querySelector(".password").textContent = t(mode === "reset" ? "newPassword" : "password");
  password.autocomplete = isNew ? "new-password" : "current-password";
  if (isNew) password.setAttribute("aria-describedby", "password-hint");
  else password.removeAttribute("aria-describedby");
  causes[401] = mode === "logIn" ? "password" : "";
  clear(form);
  say($("why"), "");
}

/** Leave what a link was for, to what is there without it. */
function goOn(news) {
  link.token = "";
  setMode("logIn");
  if (session.current()) show(session.current(), "");
  else say($("why"), news);
  if (session.current()) announce(news);
}

$("switch").onclick = () => {
  const other = /** @type {string} */ (MODES[mode]?.at(-1));
  if (other === "logIn") goOn("");
  else setMode(other);
  $("credentials").elements.email.focus();
};
$("forgot").onclick = () => {
  setMode("forgot");
  $("credentials").elements.email.focus();
};

onSubmit(
  $("credentials"),
  async ({ elements: { email, password, keep } }) => {
    const credentials = { email: email.value.trim(), password: password.value };
    const kept = keep.checked;
    if (mode === "forgot" || mode === "unconfirmed") {
      await request("POST", mode === "forgot" ? "forgotPassword" : "resendVerification", { email: credentials.email });
      return goOn(t("linkSent"));
    }
    if (mode === "verify" || mode === "change") {
      await request("POST", "verifyEmail", { token: link.token });
      if (mode === "change") renameSession();
      return goOn(t("confirmed"));
    }
    const isReset = mode === "reset";
    if (isReset) {
      await request("POST", "resetPassword", { token: link.token, new_password: credentials.password });
      link.token = "";
      setMode("logIn");
      session.end("", "expired"); // all have ended
      email.value = credentials.email;
    }
    try {
      const { data } = await request("POST", mode === "signUp" ? "signup" : "login", credentials);
      if (mode === "signUp" && has("verifyEmail")) announce(t("mailed"));
      setMode("logIn");
      const { access_token: token, refresh_token } = data;
      session.begin({ email: credentials.email.toLowerCase(), token, kept, refresh: kept ? refresh_token : undefined });
    } catch (refusal) {
      if (isReset) say($("why"), t("passwordSet"));
      if (refusal.said !== "unconfirmed") throw refusal;
      setMode("unconfirmed");
      throw new Refusal(403, ""); // it is said already
    }
  },
  causes,
);

function showNetwork() {
  $("offline").hidden = navigator.onLine;
}

addEventListener("offline", showNetwork);
addEventListener("online", showNetwork);
addEventListener("hashchange", () => readLink() && show(session.current(), ""));
showNetwork();
readLink();
session.watch(show, async () => (await desk).refresh());
