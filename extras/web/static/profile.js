/** The handle, under which posts are public, and the name above them. */

import { attempt, onChange } from "./account.js";
import { request } from "./api.js";
import { $, confirm, say } from "./dom.js";
import { setHandle } from "./place.js";
import { refresh } from "./posts.js";
import { changed } from "./session.js";
import { has, t } from "./words.js";

const form = $("profile");
const { handle, name } = form.elements;

function show(profile) {
  setHandle(profile.handle);
  [handle.value, name.value] = [profile.handle ?? "", profile.name ?? ""];
}

/** Ask the server for them. What cannot be learned now changes nothing, nor what is being typed. */
export async function loadProfile() {
  if (!has("profile")) return;
  const answer = await request("GET", "profile").catch(() => undefined);
  if (answer && $("account").open) setHandle(answer.data.handle);
  else if (answer) show(answer.data);
}

/** @param {object} profile */
async function save(profile) {
  const { data } = await request("PUT", "profile", profile);
  show(data);
  changed();
  refresh();
}

onChange(
  form,
  async () => {
    await save({ handle: handle.value.trim().replace(/^@/, ""), name: name.value });
    return t("saidProfile");
  },
  { 409: "handle" },
);

$("release").onclick = async () => {
  if (!(await confirm(t("releaseAsk"), t("release")))) return;
  attempt(form.querySelector('[data-error=""]'), async () => {
    await save({ handle: null });
    say(form.querySelector(".done"), t("released"));
    handle.focus();
  });
};
