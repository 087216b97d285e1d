// The hot list as cards, the viewer's likes on them, and the list of what the viewer likes.

import { call, listOf } from "./api.js";
import { picture } from "./cover.js";
import { clock, onLanguage, t } from "./i18n.js";
import { follow } from "./trail.js";
import { guest, known, refused } from "./viewer.js";

const LIKED = "playtrail.liked";
const MOST_LIKED = 8;
const KINDS = { 1: "film", 2: "game" };
const cards = document.querySelector("#hot");
const mine = document.querySelector("#mine");
const template = document.querySelector("#card");
let shown = [];
let likes = null;
/** Videos that the viewer reacted to while their state was being asked: those answers are old. */
const acted = new Set();
let watch = () => {};

const cardOf = (video) => cards.querySelector(`[data-id="${video.id}"]`);

function words(card, video) {
  card.querySelector(".kind").textContent = t(KINDS[video.category] ?? "video");
  card.querySelector(".watch").textContent = t("watch");
  card.querySelector(".watch").setAttribute("aria-label", `${t("watch")} ${video.title}`);
  const like = card.querySelector(".like");
  like.querySelector("span").textContent = t(like.getAttribute("aria-pressed") === "true" ? "liked" : "like");
  like.setAttribute("aria-label", `${t("like")} ${video.title}`);
}

function press(card, video, on) {
  card.querySelector(".like").setAttribute("aria-pressed", String(Boolean(on)));
  words(card, video);
}

async function toggleLike(card, video) {
  const button = card.querySelector(".like");
  const on = button.getAttribute("aria-pressed") !== "true";
  if (button.getAttribute("aria-disabled") === "true") return;
  button.setAttribute("aria-disabled", "true");
  acted.add(video.id);
  press(card, video, on);
  const label = () => `${on ? "like" : "no_like"} · ${video.title}`;
  const act = () => call(`/video/like/${video.id}`, { method: "POST", body: { like: on ? 1 : 0 } });
  try {
    await follow(label, act, `/video/like/${video.id}`);
    known(true);
    press(card, video, on);
    remember(video, on);
  } catch (refusal) {
    press(card, video, !on);
    refused(refusal);
  } finally {
    button.removeAttribute("aria-disabled");
  }
}

function keep(videos) {
  likes = videos.slice(0, MOST_LIKED).map(({ id, title }) => ({ id, title }));
  localStorage.setItem(LIKED, JSON.stringify(likes));
  drawMine();
}

/** The list follows the click at once; the read model is asked when the page is loaded again. */
function remember(video, on) {
  const others = (likes ?? []).filter((item) => item.id !== video.id);
  keep(on ? [video, ...others] : others);
}

function makeCard(video) {
  const card = template.content.firstElementChild.cloneNode(true);
  card.dataset.id = video.id;
  card.querySelector(".cover").append(picture(video));
  card.querySelector("h3").textContent = card.querySelector("h3").title = video.title;
  card.querySelector(".length").textContent = video.duration ? clock(video.duration) : "";
  card.querySelector(".watch").addEventListener("click", () => watch(video));
  card.querySelector(".like").addEventListener("click", () => toggleLike(card, video));
  words(card, video);
  return card;
}

function drawMine() {
  mine.dataset.empty = guest() ? t("mineGuest") : t("mineEmpty");
  mine.replaceChildren(
    ...(likes ?? []).map((video) => {
      const item = document.createElement("li");
      item.dataset.id = video.id;
      item.textContent = item.title = video.title;
      return item;
    }),
  );
}

/** What this browser liked, newest first: which to ask about, not whether it is so. The gateway answers that. */
function remembered() {
  try {
    return JSON.parse(localStorage.getItem(LIKED)) ?? [];
  } catch {
    return [];
  }
}

/** Whether the viewer likes a video; a video that is gone is not liked. */
async function liked(video) {
  try {
    return (await call(`/video/like/${video.id}`)).data?.like === 1;
  } catch (refusal) {
    if (refusal.status !== 404) throw refusal;
    return false;
  }
}

/** The viewer's state of these videos by id. The first one is asked alone: a guest gets one refusal, not eight. */
async function statesOf(videos) {
  const first = videos.length ? [await liked(videos[0])] : [];
  const all = [...first, ...(await Promise.all(videos.slice(1).map(liked)))];
  return new Map(videos.map((video, index) => [video.id, all[index]]));
}

async function ownState() {
  if (guest()) return drawMine();
  const asked = [...new Map([...remembered(), ...shown].map((video) => [video.id, video])).values()];
  acted.clear();
  const states = await statesOf(asked);
  known(true);
  if (acted.size) return ownState();
  for (const video of shown) if (states.has(video.id)) press(cardOf(video), video, states.get(video.id));
  keep(asked.filter((video) => states.get(video.id)));
  return undefined;
}

/** Fetch a hot list and show it; the old cards stay until the new ones are here. Rejects with a Refusal. */
export async function loadHot() {
  cards.setAttribute("aria-busy", "true");
  shown = listOf((await call("/video/hot")).data);
  cards.replaceChildren(...shown.map(makeCard));
  cards.setAttribute("aria-busy", "false");
}

/** The viewer's own likes: after a load, and when the viewer changed. A guest has none. */
export async function loadOwn() {
  try {
    await ownState();
  } catch (refusal) {
    if (refusal.status !== 401) throw refusal;
    likes = null;
    known(false);
    drawMine();
    for (const video of shown) press(cardOf(video), video, false);
  }
}

async function shuffle() {
  try {
    await loadHot();
    await loadOwn();
  } catch (refusal) {
    refused(refusal);
  }
}

export function startHot(onWatch) {
  watch = onWatch;
  document.querySelector("#shuffle").addEventListener("click", shuffle);
  onLanguage(() => {
    drawMine();
    for (const video of shown) words(cardOf(video), video);
  });
}
