/** All texts of the page, and how numbers and times are said in its language. */

const routes = new Set(document.documentElement.dataset.routes?.split(" "));

/** Whether the server has a route whose path begins with this word. */
export const has = (route) => routes.has(route);

let isPublic = true; // where that is possible, until it is known

/** Whether what is published is public. */
export const setPublic = (value) => (isPublic = value);

/** In English and Russian. Forms of number are set apart by `|`; `NAME.public` stands for NAME where posts are public.
 * @type {Record<string, [string, string]>} */
export const TEXTS = {
  // the entrance
  logIn: ["Log in", "Войти"],
  signUp: ["Sign up", "Зарегистрироваться"],
  newHere: ["New here?", "Впервые здесь?"],
  haveAccount: ["Already have an account?", "Уже есть аккаунт?"],
  forgot: ["Forgot your password?", "Забыли пароль?"],
  forgotHint: ["We mail you a link, with which you choose a new one.", "Мы пришлём ссылку, по которой можно задать новый."],
  sendLink: ["Send the link", "Отправить ссылку"],
  linkSent: ["If there is an account with this email, a link is on its way to it. It may take some minutes, or be among spam.", "Если есть аккаунт с такой почтой, ссылка уже отправлена. Письмо может идти несколько минут или попасть в спам."],
  another: ["Ask for another link", "Запросить новую ссылку"],
  choosePassword: ["Choose a new password", "Задать новый пароль"],
  chooseHint: ["You are logged in with it then, and logged out everywhere else.", "Вы сразу войдёте с ним, а на других устройствах выйдете."],
  passwordSet: ["Your new password is set. Log in with it.", "Новый пароль задан. Войдите с ним."],
  confirmEmail: ["Confirm your email", "Подтвердите почту"],
  confirmHint: ["One press, and it is done.", "Одно нажатие, и готово."],
  confirm: ["Confirm", "Подтвердить"],
  confirmed: ["Your email is confirmed.", "Почта подтверждена."],
  mailed: ["We mailed you a link: please confirm your email with it.", "Мы отправили вам ссылку: подтвердите по ней почту."],
  unconfirmed: ["Your email is to be confirmed first, with the link that we mailed to it. We can send another.", "Сначала нужно подтвердить почту по ссылке из письма. Можем прислать ещё одну."],
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
  onlyYou: ["Only you can read your posts.", "Ваши записи видите только вы."],
  "onlyYou.public": ["Everyone can read what you publish, at", "Опубликованное видно всем:"],
  goPublic: ["Make them public", "Открыть для всех"],
  "goPublic.public": ["Copy link", "Копировать ссылку"],
  public: ["Public", "Видна всем"],
  share: ["Copy link", "Ссылка"],
  linkCopied: ["Link copied.", "Ссылка скопирована."],
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
  publicPage: ["Public page", "Страница для всех"],
  handleHint: ["Only you can read your posts. With a handle they are on a page for everyone, all but the drafts.", "Ваши записи видите только вы. С именем страницы их увидят все, кроме черновиков."],
  "handleHint.public": ["Everyone can read your posts, but for drafts. With another handle, links to this one lead nowhere; it stays yours for 30 days.", "Записи видны всем, кроме черновиков. С другим именем страницы прежние ссылки перестанут работать; старое ещё 30 дней остаётся за вами."],
  handle: ["Handle", "Имя страницы"],
  name: ["Name above your posts", "Подпись над записями"],
  saveProfile: ["Make my posts public", "Открыть записи для всех"],
  "saveProfile.public": ["Save", "Сохранить"],
  saidProfile: ["Saved. Your posts are public, all but the drafts.", "Сохранено. Записи видны всем, кроме черновиков."],
  release: ["Take all offline", "Закрыть для всех"],
  releaseAsk: ["Take all your posts offline at once? Links to them stop working. Nobody else can have your handle for 30 days.", "Сразу закрыть все записи? Ссылки на них перестанут работать. Имя страницы ещё 30 дней никто другой не займёт."],
  released: ["Only you can read your posts now.", "Теперь записи видите только вы."],
  changeEmail: ["Change email", "Сменить почту"],
  newEmail: ["New email", "Новая почта"],
  changeSent: ["A link is on its way to the new email. Open it, and the email is changed.", "Ссылка отправлена на новую почту. Откройте её, и почта сменится."],
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
  "empty.handle": ["Enter a handle.", "Введите имя страницы."],
  "empty.new_email": ["Enter the new email.", "Введите новую почту."],
  badEmail: ["This is not a valid email address.", "Такого адреса не бывает."],
  badPassword: ["A password has 8 to 128 characters.", "В пароле от 8 до 128 символов."],
  badHandle: ["A handle has 3 to 30 of a-z, 0-9 and _.", "В имени страницы от 3 до 30 знаков: a-z, 0-9 и _."],
  reserved: ["This handle is reserved: take another.", "Это имя зарезервировано: выберите другое."],
  handleTaken: ["This handle is taken: take another.", "Это имя занято: выберите другое."],
  manyHandles: ["You have had too many handles in 30 days: take one of these again, or wait.", "За 30 дней у вас было слишком много имён: вернитесь к одному из них или подождите."],
  emailTaken: ["This email is taken.", "Эта почта занята."],
  oldLink: ["This link was used, or is too old. Ask for another.", "Эта ссылка уже использована или устарела. Запросите новую."],
  locked: ["This account is locked. Ask whoever runs this service.", "Этот аккаунт заблокирован. Обратитесь к владельцу сервиса."],
  noRoom: ["You have as many posts as you may. Delete some first.", "У вас уже предельное число записей. Сначала удалите лишние."],
  noBytes: ["There is no room left for so much text. Delete some posts, or write less.", "Для такого текста не осталось места. Удалите лишние записи или сократите её."],
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
const wanted = [localStorage.getItem(CHOICE) ?? "", ...navigator.languages].map((tag) => tag.slice(0, 2));

export const language = wanted.find((each) => LANGUAGES.includes(each)) ?? "en";

/** The other language, from now on in this browser. */
export function switchLanguage() {
  localStorage.setItem(CHOICE, language === "en" ? "ru" : "en");
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
  const text = (has("profile") && isPublic && TEXTS[`${name}.public`]) || TEXTS[name];
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
