// Who is watching: a pasted token (this tab only), or a cookie that the page cannot read; and what to say when refused.

import { onSignedOut, setToken, token, userOf } from "./api.js";
import { onLanguage, t, told } from "./i18n.js";

const GUEST = "playtrail.guest";
const dialog = document.querySelector("#signin");
const field = document.querySelector("#token");
const who = document.querySelector("#who");
const notice = document.querySelector("#notice");
const listeners = [];
let hiding = 0;

/**
 * Whether the viewer is known to be nobody. The token cookie is HttpOnly, so this is what the gateway last answered;
 * it is kept for the tab, or every load by a guest would ask in vain and leave a 401 in the console.
 */
export const guest = () => !token() && sessionStorage.getItem(GUEST) === "1";

/** Note what an answer said: true, the gateway knows the viewer. */
export function known(isKnown) {
  if (isKnown) sessionStorage.removeItem(GUEST);
  else sessionStorage.setItem(GUEST, "1");
  show(isKnown);
}

export const onViewer = (listener) => listeners.push(listener);

function show(isKnown = !guest()) {
  const id = userOf(token());
  if (id !== null) who.textContent = t("user", { id });
  else who.textContent = isKnown ? t("viewer") : t("guest");
}

export function askToken() {
  if (dialog.open) return;
  field.value = "";
  dialog.showModal();
}

/** One line at the foot of the page, gone after a while. */
export function say(text) {
  notice.textContent = text;
  notice.hidden = !text;
  clearTimeout(hiding);
  if (text) hiding = setTimeout(() => say(""), 6000);
}

/** Show a Refusal of what the viewer did, as the gateway worded it; 401 leads to the token field. */
export function refused(refusal) {
  if (refusal.status === undefined) throw refusal;
  say(told(refusal));
  if (refusal.status === 401) askToken();
}

function changed() {
  show();
  for (const listener of listeners) listener();
}

export function startViewer() {
  who.addEventListener("click", askToken);
  dialog.addEventListener("close", () => {
    if (dialog.returnValue === "save" && field.value.trim()) setToken(field.value.trim());
    else if (dialog.returnValue === "forget") setToken("");
    else return;
    sessionStorage.removeItem(GUEST);
    changed();
  });
  onSignedOut((msg) => {
    say(msg);
    changed();
  });
  onLanguage(() => show());
  show();
}
