// Before anything is painted: who is logged in, and comes by no link of a mail, does not see the log-in form first.
try {
  const place = `posts ${location.pathname}`; // the name of session.js
  const session = sessionStorage.getItem(place) ?? localStorage.getItem(place);
  if (session && !location.hash) document.documentElement.dataset.view = "desk";
} catch {
  // storage is forbidden
}
