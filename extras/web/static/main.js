/** What is painted first: the entrance. The desk comes along, and opens when somebody is logged in. */

import { Refusal, request } from "./api.js";
import { $, $$, announce, clear, onSubmit, say } from "./dom.js";
import * as session from "./session.js";
import { has, t } from "./words.js";

function speak({ target: { lang } }) {
  document.cookie = `posts_language=${lang}; max-age=31536000; samesite=lax`;
  location.reload();
}
for (const button of $$(".language")) button.onclick = speak;

const desk = import("./desk.js");
desk.catch(() => say($("list-error"), t("lost")));

const form = $("credentials");
const { email, password, keep } = form.elements;

let linkToken = ""; // of a link from a mail, in the page's memory and nowhere else

/** Take a link's token out of the address; whether there was one. */
function readLink() {
  const [, kind, found] = location.hash.match(/^#(reset|verify|change)=([\w-]+)$/) ?? [];
  if (!found || !has("verifyEmail")) return false;
  history.replaceState(null, "", location.pathname + location.search);
  linkToken = found;
  setMode(kind);
  return true;
}

let first = true; // what was typed before the page was ready stays

/** @param {session.Session | null} who */
async function show(who, why = "", before = "") {
  const isAtDesk = who && !linkToken;
  document.documentElement.dataset.view = isAtDesk ? "desk" : "entrance";
  $("revoke").hidden = true;
  for (const dialog of $$("dialog[open]")) dialog.close();
  if (!first) for (const each of $$("form:not(.composer)")) each.reset();
  for (const place of $$(".who")) place.textContent = who?.email;
  for (const field of $$("input[hidden]")) field.defaultValue = who?.email ?? "";
  reveal();
  say($("why"), why && t(why));
  if (why === "expired") email.value = before;
  if (!isAtDesk && (!first || document.activeElement === document.body)) {
    [...form.querySelectorAll("input:invalid, .primary")].find((element) => element.checkVisibility()).focus();
  }
  first = false;
  const { open } = await desk;
  if (session.current()?.email === who?.email) open(who && !linkToken);
}

const reveal = () => (password.type = $("reveal").checked ? "text" : "password");
$("reveal").onchange = reveal;

/** What the entrance is for: what of it is there then, says `data-in`. */
let mode = "logIn";

function setMode(name) {
  mode = name;
  for (const part of $$("[data-in]")) part.hidden = !part.dataset.in.split(" ").includes(mode);
  password.autocomplete = ["signUp", "reset"].includes(mode) ? "new-password" : "current-password";
  $("back").textContent = t(session.current() ? "yourPosts" : "logIn");
  clear(form);
  say($("why"), "");
}

/** Leave what a link was for, to what is there without it. */
function goOn(news) {
  linkToken = "";
  setMode("logIn");
  const who = session.current();
  if (!who) return say($("why"), news);
  show(who);
  announce(news);
}

$("ways").onclick = ({ target: { value } }) => {
  if (!value) return;
  if (value === "logIn") goOn("");
  else setMode(value);
  email.focus();
};

const LETTERS = { forgot: "forgotPassword", unconfirmed: "resendVerification" }; // what sends them

onSubmit(form, async () => {
  const credentials = { email: email.value, password: password.value };
  const kept = keep.checked;
  if (LETTERS[mode]) {
    await request("POST", LETTERS[mode], { email: email.value });
    return goOn(t("linkSent"));
  }
  if (mode === "verify" || mode === "change") {
    await request("POST", "verifyEmail", { token: linkToken });
    if (mode === "change") session.rename();
    return goOn(t("confirmed"));
  }
  if (mode === "reset") {
    await request("POST", "resetPassword", { token: linkToken, new_password: credentials.password });
    session.end("", "expired"); // all have ended
    email.value = credentials.email;
  }
  try {
    const { data } = await request("POST", mode === "signUp" ? "signup" : "login", credentials);
    if (mode === "signUp" && has("verifyEmail")) announce(t("mailed"));
    linkToken = "";
    setMode("logIn");
    const { access_token: token, refresh_token } = data;
    session.begin({ email: credentials.email.toLowerCase(), token, kept, refresh: kept ? refresh_token : undefined });
  } catch (refusal) {
    if (mode === "reset") goOn(t("passwordSet"));
    if (refusal.said !== "403.Confirm") throw refusal;
    setMode("unconfirmed");
    throw new Refusal(403, ""); // it is said already
  }
});

const showNetwork = () => ($("offline").hidden = navigator.onLine);
for (const change of ["online", "offline", "pageshow"]) addEventListener(change, showNetwork);
addEventListener("hashchange", () => readLink() && show(session.current()));
readLink();
session.watch(show, async () => (await desk).refresh());
