// The trail of the viewer's last action: browser, gateway, log, read model; and the few actions before it.

import { call } from "./api.js";
import { onLanguage, t, told } from "./i18n.js";

const TRIES = 8;
const PAST = 6;
const stations = document.querySelectorAll("#stations li");
const deedLine = document.querySelector("#deed");
const pastList = document.querySelector("#past");
const past = [];
let current = null;

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** What each station says of an action, as [state, text]; states are styled, and named in the text too. */
function reading(deed) {
  const browser = ["ok", deed.label()];
  const nothing = ["idle", ""];
  if (deed.failure) return { browser, gateway: ["bad", deed.failure], log: ["idle", t("refused")], model: nothing };
  if (!deed.answer) return { browser, gateway: ["busy", t("waiting")], log: nothing, model: nothing };
  const { status, ms, position, data } = deed.answer;
  const [state, key, values] = deed.visible;
  const spooled = data?.durable === "spool" || status === 202;
  return {
    browser,
    gateway: ["ok", `HTTP ${status} · ${t("answered", { ms })}`],
    log: spooled ? ["warn", t("inSpool")] : ["ok", position || t("inLog")],
    model: spooled && !position ? ["warn", t("lost")] : [state, t(key, values)],
  };
}

function draw() {
  if (!current) return;
  const told = reading(current);
  for (const station of stations) {
    const [state, text] = told[station.dataset.at];
    station.dataset.state = state;
    const line = station.querySelector("span");
    if (line.textContent !== text) line.textContent = line.title = text;
  }
  const line = current.failure ? `${current.label()}：${current.failure}` : current.answer?.msg || current.label();
  delete deedLine.dataset.i18n;
  if (deedLine.textContent !== line) deedLine.textContent = line;
}

/** Where a past action lies; the prefix that every topic has is left out here for room. */
function where(deed) {
  if (deed.failure) return String(deed.status || "–");
  return (deed.answer?.position || deed.answer?.data?.durable || "…").replace(/^behavior\./, "");
}

function pastRow(deed) {
  const row = document.createElement("li");
  for (const text of [deed.at, deed.label(), where(deed), deed.took ? `${deed.took} ms` : ""]) {
    const cell = document.createElement("span");
    cell.textContent = cell.title = text;
    row.append(cell);
  }
  if (deed.failure) row.dataset.state = "bad";
  return row;
}

function redraw() {
  draw();
  pastList.replaceChildren(...past.map(pastRow));
}

/** Ask the read model until it has the position; each answer that came too early says X-Stale. */
async function look(deed, readPath) {
  for (let i = 0; i < TRIES; i += 1) {
    const read = await call(readPath, { position: deed.answer.position });
    if (!read.stale) {
      deed.took = Math.round(performance.now() - deed.began);
      deed.visible = ["ok", "visible", { ms: deed.took }];
      return;
    }
    deed.visible = ["warn", "stale"];
    redraw();
    await pause(250 * (i + 1));
  }
  deed.visible = ["warn", "lost"];
}

async function prove(deed, readPath) {
  try {
    await look(deed, readPath);
  } catch {
    deed.visible = ["warn", "lost"];
  }
  redraw();
}

function record(label, quiet) {
  const now = new Date().toLocaleTimeString("zh-CN", { hour12: false });
  const deed = { label, at: now, began: performance.now(), answer: null, visible: ["busy", "waiting"], failure: "" };
  past.unshift(deed);
  past.length = Math.min(past.length, PAST);
  if (!quiet) current = deed;
  redraw();
  return deed;
}

/**
 * Carry out an action and show its way. `act` resolves to an answer of call(); `readPath` is the read that proves it.
 * A quiet action (a heartbeat) is listed, but leaves the strip to the action before it. Rejects as `act` does.
 */
export async function follow(label, act, readPath, quiet = false) {
  const deed = record(label, quiet);
  try {
    deed.answer = await act();
  } catch (refusal) {
    deed.failure = told(refusal);
    deed.status = refusal.status;
    redraw();
    throw refusal;
  }
  redraw();
  if (!quiet && deed.answer.position) prove(deed, readPath);
  return deed.answer;
}

onLanguage(redraw);
