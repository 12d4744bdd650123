/** All texts of the page, and how numbers and times are said in its language. */

import { browser } from "./storage.js";

const routes = new Set(document.documentElement.dataset.routes?.split(" "));

/** Whether the server has a route whose path begins with this word. */
export const has = (route) => routes.has(route);

/** In English and Russian. Forms of number are set apart by `|`; `NAME.public` stands for NAME where posts can be public.
 * @type {Record<string, [string, string]>} */
export const TEXTS = {
  // the entrance
  logIn: ["Log in", "Войти"],
  signUp: ["Sign up", "Зарегистрироваться"],
  newHere: ["New here?", "Впервые здесь?"],
  haveAccount: ["Already have an account?", "Уже есть аккаунт?"],
  about: ["A quiet place for what you write. Only you can read it.", "Тихое место для ваших записей. Читаете их только вы."],
  "about.public": ["A quiet place for what you write. Only you can read it, until you publish it.", "Тихое место для ваших записей. Читаете их только вы, пока не опубликуете."],
  email: ["Email", "Эл. почта"],
  password: ["Password", "Пароль"],
  passwordHint: ["8 to 128 characters, any you like.", "От 8 до 128 любых символов."],
  reveal: ["Show the password", "Показать пароль"],
  keep: ["Keep me logged in", "Запомнить меня"],
  keepHint: ["Otherwise closing the tab logs you out. “Log out” does so in all tabs.", "Иначе вы выйдете, закрыв вкладку. Кнопка «Выйти» действует во всех вкладках."],
  docs: ["For programs: the API", "Для программ: API"],
  otherLanguage: ["Русский", "English"],
  // the desk
  account: ["Account", "Аккаунт"],
  logOut: ["Log out", "Выйти"],
  write: ["Write a post", "Новая запись"],
  editing: ["Edit the post", "Правка записи"],
  placeholder: ["What’s on your mind?", "О чём думаете?"],
  save: ["Save", "Сохранить"],
  "save.public": ["Publish", "Опубликовать"],
  saveEdit: ["Save", "Сохранить"],
  keepDraft: ["Keep as draft", "В черновики"],
  cancel: ["Cancel", "Отмена"],
  kept: ["Saved in this browser", "Сохранено в этом браузере"],
  notKept: ["Too long for this browser to keep: a reload would lose it.", "Слишком длинно, чтобы сохранить в браузере: при перезагрузке текст пропадёт."],
  left: ["{n} byte left|{n} bytes left", "Остался {n} байт|Осталось {n} байта|Осталось {n} байт"],
  over: ["Too long by {n} byte|Too long by {n} bytes", "Длиннее на {n} байт|Длиннее на {n} байта|Длиннее на {n} байт"],
  yourPosts: ["Your posts", "Ваши записи"],
  filter: ["Show", "Показать"],
  all: ["All", "Все"],
  published: ["Saved", "Готовые"],
  "published.public": ["Published", "Опубликованные"],
  drafts: ["Drafts", "Черновики"],
  draft: ["Draft", "Черновик"],
  search: ["Search", "Поиск"],
  shownAll: ["{n} post|{n} posts", "{n} запись|{n} записи|{n} записей"],
  shownSome: ["{n} shown, there are more", "Показана {n}, есть ещё|Показаны {n}, есть ещё|Показано {n}, есть ещё"],
  foundAll: ["{n} found", "Найдена {n}|Найдено {n}|Найдено {n}"],
  foundSome: ["{n} found so far", "Пока найдена {n}|Пока найдено {n}|Пока найдено {n}"],
  nothingYet: ["Nothing here yet. What you write above appears here, and only you see it.", "Пока пусто. Здесь появится то, что вы напишете; увидите это только вы."],
  "nothingYet.public": ["Nothing here yet. What you write above appears here.", "Пока пусто. Здесь появится то, что вы напишете."],
  nothingFound: ["Nothing found.", "Ничего не найдено."],
  nothingSuch: ["Nothing here.", "Здесь пусто."],
  more: ["Show more posts", "Показать ещё"],
  again: ["Try again", "Повторить"],
  justNow: ["just now", "только что"],
  edited: ["edited", "изменено"],
  copy: ["Copy", "Копировать"],
  copied: ["Copied.", "Скопировано."],
  edit: ["Edit", "Изменить"],
  delete: ["Delete", "Удалить"],
  deleted: ["Post deleted.", "Запись удалена."],
  undo: ["Undo", "Вернуть"],
  showMore: ["Show more", "Показать целиком"],
  showLess: ["Show less", "Свернуть"],
  toDraft: ["Turn into a draft", "Сделать черновиком"],
  saidSaved: ["Saved.", "Сохранено."],
  "saidSaved.public": ["Published.", "Опубликовано."],
  saidDraft: ["Kept as a draft.", "Сохранено в черновиках."],
  saidEdited: ["Saved.", "Сохранено."],
  savedBut: ["Saved, but for what you typed since.", "Сохранено, кроме набранного после этого."],
  // questions
  discard: ["Discard your changes?", "Отменить изменения?"],
  discardYes: ["Discard", "Отменить изменения"],
  leave: ["Log out and discard the text you have not sent?", "Выйти и удалить неотправленный текст?"],
  leaveYes: ["Discard and log out", "Удалить и выйти"],
  // the account
  close: ["Close", "Закрыть"],
  changePassword: ["Change password", "Сменить пароль"],
  currentPassword: ["Current password", "Текущий пароль"],
  newPassword: ["New password", "Новый пароль"],
  changeHint: ["8 to 128 characters. You are logged out everywhere else.", "От 8 до 128 символов. На других устройствах вы выйдете."],
  changed: ["Your password is changed.", "Пароль изменён."],
  sessions: ["Where you are logged in", "Где вы вошли"],
  thisSession: ["This browser", "Этот браузер"],
  session: ["Logged in {when}", "Вход {when}"],
  lastUsed: ["Last used {when}", "Последнее обращение {when}"],
  endSession: ["End this one", "Завершить"],
  yourData: ["Your data", "Ваши данные"],
  exportHint: ["All your posts and sessions in one file.", "Все записи и сеансы одним файлом."],
  download: ["Download", "Скачать"],
  downloadFirst: ["Download your data first", "Сначала скачать данные"],
  deleteAccount: ["Delete account", "Удалить аккаунт"],
  deleteHint: ["All your posts go with it, at once and for good.", "Вместе с ним исчезнут все записи, сразу и навсегда."],
  typeEmail: ["To confirm, type your email", "Для подтверждения введите свою почту"],
  typedWrong: ["That is not the email of this account.", "Это не почта этого аккаунта."],
  deleteMine: ["Delete my account", "Удалить мой аккаунт"],
  accountGone: ["Your account and everything in it is deleted.", "Аккаунт и всё, что в нём было, удалены."],
  // what goes wrong
  "empty.email": ["Enter your email.", "Введите почту."],
  "empty.password": ["Enter your password.", "Введите пароль."],
  "empty.current_password": ["Enter your current password.", "Введите текущий пароль."],
  "empty.new_password": ["Enter a new password.", "Введите новый пароль."],
  "empty.typed": ["Type your email.", "Введите почту."],
  "empty.text": ["Write something first.", "Сначала напишите что-нибудь."],
  badEmail: ["This is not a valid email address.", "Такого адреса не бывает."],
  badPassword: ["A password has 8 to 128 characters.", "В пароле от 8 до 128 символов."],
  taken: ["This email is taken: log in, or sign up with another.", "Эта почта занята: войдите или укажите другую."],
  wrongLogin: ["The email or the password is wrong.", "Неверная почта или пароль."],
  wrongPassword: ["The password is wrong.", "Неверный пароль."],
  tooLong: ["This is too long: 1 MB is the most a post can have.", "Слишком длинно: запись не может быть больше 1 МБ."],
  tooMany: ["Too many attempts. Try again {when}.", "Слишком много попыток. Повторите {when}."],
  soon: ["in a moment", "чуть позже"],
  busy: ["The service is busy, and nothing was saved. Try again {when}.", "Сервис занят, ничего не сохранено. Повторите {when}."],
  mayBeSaved: ["The service broke off while it saved this. Check whether it is there before you send it again.", "Сервис прервался во время сохранения. Проверьте, нет ли записи, прежде чем отправлять снова."],
  away: ["The server cannot be reached. Try again {when}.", "Сервер недоступен. Повторите {when}."],
  broken: ["Something went wrong on the server ({status}). Try again later.", "На сервере произошла ошибка ({status}). Повторите позже."],
  stranger: ["Something else answered in place of the server, perhaps the log-in page of a network. Open any website in another tab, then try again.", "Вместо сервера ответило что-то другое, возможно, страница входа сети. Откройте любой сайт в другой вкладке и повторите."],
  lost: ["The server cannot be reached. Nothing you typed is lost: try again when the connection is back.", "Сервер недоступен. Набранное не потеряно: повторите, когда связь появится."],
  unsure: ["It may have arrived: look at your posts below before you send it again.", "Возможно, запись дошла: посмотрите на список ниже, прежде чем отправлять снова."],
  offline: ["You are offline. What you type is kept in this browser.", "Нет связи. Набранное хранится в этом браузере."],
  waiting: ["This is sent as soon as you are online.", "Будет отправлено, как только появится связь."],
  resend: ["It did not get through yet. Sending it again in {n} second.|It did not get through yet. Sending it again in {n} seconds.", "Пока не дошло. Отправим ещё раз через {n} секунду.|Пока не дошло. Отправим ещё раз через {n} секунды.|Пока не дошло. Отправим ещё раз через {n} секунд."],
  resending: ["Sending it again.", "Отправляем ещё раз."],
  failed: ["It did not get through. Nothing you typed is lost, and it cannot be posted twice: send it again later.", "Не дошло. Набранное не потеряно, и дважды запись не появится: отправьте её позже."],
  spent: ["What you sent before is saved: see it below. Send again to add this text, too.", "Отправленное раньше сохранено, оно ниже. Отправьте ещё раз, чтобы добавить и этот текст."],
  conflict: ["This post was changed elsewhere meanwhile. Save again to replace it, or cancel to see it.", "Запись тем временем изменили в другом месте. Сохраните ещё раз, чтобы заменить её, или отмените, чтобы посмотреть."],
  expired: ["Your session has ended. Log in again; what you typed is kept.", "Сеанс закончился. Войдите снова; набранное сохранено."],
  loggedOut: ["You are logged out.", "Вы вышли."],
  notRevoked: ["You are logged out here, but the server could not be told to end the session.", "Здесь вы вышли, но сообщить серверу об этом не удалось."],
  revoke: ["End the session on the server", "Завершить сеанс на сервере"],
  revoked: ["The session has ended on the server, too.", "Сеанс завершён и на сервере."],
};

const LANGUAGES = ["en", "ru"];
const CHOICE = "posts language";
const wanted = [browser.get(CHOICE) ?? "", ...navigator.languages].map((tag) => tag.slice(0, 2));

export const language = wanted.find((each) => LANGUAGES.includes(each)) ?? "en";

/** The other language, from now on in this browser. */
export function switchLanguage() {
  browser.set(CHOICE, language === "en" ? "ru" : "en");
  location.reload();
}

const locale = navigator.languages.find((tag) => tag.startsWith(language)) ?? language;
const plural = new Intl.PluralRules(language);
const number = new Intl.NumberFormat(locale);
const full = new Intl.DateTimeFormat(locale, { dateStyle: "long", timeStyle: "short" });
const day = new Intl.DateTimeFormat(locale, { dateStyle: "medium" });
const relative = new Intl.RelativeTimeFormat(locale, { numeric: "auto" });

/** The text of this name; `n` chooses the form of number. @param {Record<string, string | number>} [values] */
export function t(name, values = {}) {
  const text = (has("profile") && TEXTS[`${name}.public`]) || TEXTS[name];
  const forms = text[LANGUAGES.indexOf(language)].split("|");
  const place = { one: 0, few: 1 }[plural.select(Number(values.n ?? 1))] ?? forms.length - 1;
  const show = (value) => (typeof value === "number" ? number.format(value) : value);
  return forms[Math.min(place, forms.length - 1)].replace(/\{(\w+)\}/g, (_, key) => show(values[key]));
}

/** Put the texts in their places: `data-t` names that of an element, `data-t-label` and `data-t-placeholder` others. */
export function translate(root) {
  for (const element of root.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  for (const element of root.querySelectorAll("[data-t-label]")) element.ariaLabel = t(element.dataset.tLabel);
  for (const element of root.querySelectorAll("[data-t-placeholder]")) element.placeholder = t(element.dataset.tPlaceholder);
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
