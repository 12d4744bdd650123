// Before anything is painted: who is logged in does not see the log-in form first. The names are those of `session.js`.
const place = `posts ${location.pathname}`;
if (sessionStorage.getItem(place) ?? localStorage.getItem(place)) document.documentElement.dataset.view = "desk";
