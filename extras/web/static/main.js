/** Puts the page together: the entrance (sign up, log in), the desk (write, list) and the account. */

import { insist, isUnknown, request, routes } from "./api.js";
import { composer } from "./composer.js";
import { $, announce, confirm, say } from "./dom.js";
import { onSubmit } from "./forms.js";
import { refresh, reset } from "./posts.js";
import * as session from "./session.js";

const has = await routes();
let writer; // the form for a new post

const KEY = "Idempotency-Key";
const keyed = has["/addPost"]?.post.parameters?.some(({ name }) => name === KEY);
const UNSURE = " It may have arrived: look at your posts below before you send it again.";
const FAILED = "It did not get through. Nothing you typed is lost, and it cannot be posted twice: send it again later.";
const SPENT = "What you sent before is posted: see it below. Send again to post this text, too.";

async function add(post, _, key) {
  try {
    await (keyed ? insist : request)("POST", "addPost", post, { [KEY]: key }); // a server that knows no keys ignores it
  } catch (refusal) {
    refusal.spent = Boolean(refusal.fields?.[KEY]); // on another text, or as a draft
    if (refusal.spent) refusal.fields[KEY] = SPENT;
    if (refusal.spent || (isUnknown(refusal) && !keyed)) await refresh();
    if (isUnknown(refusal)) refusal.message = keyed ? FAILED : refusal.message + (refusal.told ? "" : UNSURE);
    throw refusal;
  }
  announce(post.status === "draft" ? "The draft is saved." : "The post is published.");
  session.changed();
  refresh();
}

function show(who, why) {
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  for (const form of document.querySelectorAll("dialog form, #credentials")) form.reset();
  reveal();
  for (const id of ["me", "desk"]) $(id).hidden = !who;
  $("entrance").hidden = Boolean(who);
  $("revoke").hidden = true;
  reset("/editPost/{postID}" in has);
  if (!who) {
    say($("why"), why);
    $("new").replaceChildren();
    $("credentials").elements.email.value = $("email").textContent;
    return $("credentials").elements[$("email").textContent ? "password" : "email"].focus();
  }
  $("email").textContent = who.email;
  writer = composer(add);
  $("new").replaceChildren(writer);
  writer.elements.text.focus();
  refresh();
}

// Entrance

let joining = false;

function reveal() {
  $("credentials").elements.password.type = $("reveal").checked ? "text" : "password";
}

function setMode(join) {
  joining = join;
  const { password } = $("credentials").elements;
  const [name, question, other] = join
    ? ["Sign up", "Already have an account?", "Log in"]
    : ["Log in", "New here?", "Sign up"];
  $("entrance-title").textContent = $("credentials").querySelector(".primary").textContent = name;
  $("switch").textContent = other;
  $("switch").previousElementSibling.textContent = question;
  $("password-hint").hidden = !join;
  password.autocomplete = join ? "new-password" : "current-password";
  if (join) password.setAttribute("aria-describedby", "password-hint");
  else password.removeAttribute("aria-describedby");
}

$("switch").onclick = () => [setMode(!joining), $("credentials").elements.email.focus()];
$("reveal").onchange = reveal;

onSubmit(
  $("credentials"),
  async ({ elements: { email, password } }) => {
    const credentials = { email: email.value, password: password.value };
    const { data } = await request("POST", joining ? "signup" : "login", credentials);
    session.begin(email.value.toLowerCase(), data.access_token);
    setMode(false);
  },
  { 401: "password", 409: "email" },
);

// Account

$("log-out").onclick = async () => {
  const { email, token } = session.current();
  const unsent = session.draftsOf(email);
  if (unsent.length && !(await confirm("Log out and discard the text you have not sent?", "Discard and log out"))) return;
  forget(email);
  leave("You are logged out.");
  revoke(token);
};

/** End the session on the server, too, if it can; it is asked whatever is known of it. */
async function revoke(token) {
  $("revoke").hidden = true;
  const headers = { Authorization: `Bearer ${token}` };
  const answer = await fetch("logout", { method: "POST", headers, keepalive: true }).catch(() => ({ status: 503 }));
  if (answer.status < 500 && answer.status !== 429) return; // 404: without `account`, a token ends by itself
  if (!session.current()) say($("why"), "You are logged out here, but the server could not be told to end the session.");
  $("revoke").hidden = false;
  $("revoke").onclick = async () => {
    say($("why"), "");
    await revoke(token);
    if ($("revoke").hidden) announce("The session has ended on the server, too.");
  };
}

function forget(email) {
  for (const key of session.draftsOf(email)) session.saveDraft(key, "");
}

function leave(message) {
  $("email").textContent = "";
  if (session.current()) session.end();
  announce(message);
}

$("settings").hidden = !("/changePassword" in has || "/deleteAccount" in has);
$("change-password").hidden = !("/changePassword" in has);
$("delete-account").hidden = !("/deleteAccount" in has);
$("settings").onclick = () => {
  for (const form of document.querySelectorAll("#account > form")) form.elements.username.value = session.current().email;
  $("change-password").querySelector(".done").textContent = "";
  $("account").showModal();
};

onSubmit(
  $("change-password"),
  async (form) => {
    const { current_password, new_password } = form.elements;
    const passwords = { current_password: current_password.value, new_password: new_password.value };
    await request("POST", "changePassword", passwords);
    form.reset();
    form.querySelector(".done").textContent = "The password is changed.";
  },
  { 403: "current_password" },
);

onSubmit(
  $("delete-account"),
  async (form) => {
    const { email } = session.current();
    await request("POST", "deleteAccount", { password: form.elements.password.value });
    forget(email);
    leave("Your account and everything in it has been deleted.");
  },
  { 403: "password" },
);

// Network and other tabs

function showNetwork() {
  $("offline").hidden = navigator.onLine;
}

addEventListener("offline", showNetwork);
addEventListener("online", () => [showNetwork(), session.current() && refresh()]);
addEventListener("storage", (event) => {
  for (const form of document.querySelectorAll(".composer")) form.adopt(event);
});

showNetwork();
await session.watch(show, refresh);
