// A player that tells the log what it does: start, ping every next_ping seconds, stop when it rests, end at the end.
// play_time is what was really watched: cumulative, unmoved by seeking. Without a video file the clock is simulated.

import { call, send } from "./api.js";
import { picture } from "./cover.js";
import { clock, onLanguage, span, t } from "./i18n.js";
import { follow } from "./trail.js";
import { refused } from "./viewer.js";

const TICK_MS = 250;
const DEFAULT_PING = 10;
const DEFAULT_LENGTH = 600;
const get = (id) => document.querySelector(`#${id}`);
const [root, screen, title, seek, time, watched, toggle, close, beats] = [
  "player",
  "screen",
  "player-title",
  "seek",
  "time",
  "watched",
  "toggle",
  "close",
  "beats",
].map(get);
let now = null;

const uuid = () =>
  crypto.randomUUID?.() ??
  "10000000-1000-4000-8000-100000000000".replace(/[018]/g, (c) =>
    (Number(c) ^ (crypto.getRandomValues(new Uint8Array(1))[0] & (15 >> (Number(c) / 4)))).toString(16),
  );

function beat(type, seconds) {
  const item = document.createElement("li");
  item.textContent = `${type} ${seconds}s`;
  item.dataset.state = "busy";
  beats.append(item);
  while (beats.children.length > 8) beats.firstElementChild.remove();
  return item;
}

function body(type) {
  const seq = now.seq;
  now.seq += 1;
  return { type, session: now.session, seq, play_time: Math.floor(now.played), cur_time: Math.round(now.at * 10) / 10 };
}

/** Tell the log; a heartbeat that is refused is not repeated, since the next one carries the same sum. */
async function tell(type) {
  const { video } = now;
  const path = `/video/play/${video.id}`;
  const fields = body(type);
  const chip = beat(type, fields.play_time);
  const playing = now;
  const act = () => call(path, { method: "POST", body: fields });
  try {
    const answer = await follow(() => `${type} · ${video.title}`, act, "/video/statistics", type === "ping");
    playing.every = Number(answer.data?.next_ping) || DEFAULT_PING;
    chip.dataset.state = answer.status === 202 ? "warn" : "ok";
    chip.title = answer.position;
  } catch (refusal) {
    chip.dataset.state = "bad";
    if (type !== "ping") refused(refusal);
  }
}

/** The page is going away: no answer can be awaited, so the browser is asked to deliver it. */
function tellLeaving() {
  if (!now?.playing) return;
  rest();
  const fields = body("stop");
  beat("stop", fields.play_time).dataset.state = "ok";
  send(`/video/play/${now.video.id}`, fields);
}

function show() {
  root.dataset.state = now ? (now.playing ? "playing" : "paused") : "empty";
  for (const control of [seek, toggle, close]) control.disabled = !now;
  toggle.textContent = t(now?.playing ? "pause" : "play");
  title.textContent = now ? now.video.title : t("nothing");
  if (now) showTime();
  else time.textContent = "0:00";
  if (!now) watched.textContent = "";
}

function showTime() {
  seek.max = Math.max(1, Math.floor(now.length));
  seek.value = Math.floor(now.at);
  seek.style.setProperty("--done", `${Math.min(100, (100 * now.at) / now.length).toFixed(2)}%`);
  seek.setAttribute("aria-valuetext", clock(now.at));
  time.textContent = `${clock(now.at)} / ${clock(now.length)}`;
  watched.textContent = `${t("watched")} ${span(now.played)}`;
}

function tick() {
  const moment = performance.now();
  const passed = (moment - now.moment) / 1000;
  now.moment = moment;
  now.played += passed;
  now.at = now.media ? now.media.currentTime : Math.min(now.at + passed, now.length);
  showTime();
  if (now.at >= now.length) return finish();
  if (moment - now.told >= now.every * 1000) {
    now.told = moment;
    tell("ping");
  }
}

function rest() {
  clearInterval(now.timer);
  now.playing = false;
  now.media?.pause();
  show();
}

function run() {
  now.playing = true;
  now.moment = performance.now();
  now.told = now.moment;
  now.media?.play().catch(() => {});
  now.timer = setInterval(tick, TICK_MS);
  show();
}

function finish() {
  rest();
  now.ended = true;
  tell("end");
}

/** A real file plays when there is one that the page may load; when it cannot, the simulated clock goes on. */
function media(video) {
  if (!video.video_url) return null;
  const element = document.createElement("video");
  element.playsInline = true;
  element.src = video.video_url;
  element.addEventListener("loadedmetadata", () => {
    if (now?.media === element && Number.isFinite(element.duration)) now.length = element.duration;
  });
  element.addEventListener("error", () => {
    if (now?.media !== element) return;
    now.media = null;
    screen.replaceChildren(picture(video));
  });
  return element;
}

function toggled() {
  if (now.playing) {
    rest();
    tell("stop");
    return;
  }
  if (now.ended) return watch(now.video);
  run();
  tell("ping");
}

function leave() {
  if (!now) return;
  const open = now.playing;
  if (open) rest();
  if (open) tell("stop");
  now = null;
  screen.replaceChildren();
  beats.replaceChildren();
  show();
}

/** Open a video and play it: a new session. What played before is stopped first. */
export function watch(video) {
  leave();
  const moment = performance.now();
  now = {
    video,
    session: uuid(),
    seq: 0,
    played: 0,
    at: 0,
    length: video.duration || DEFAULT_LENGTH,
    every: DEFAULT_PING,
    moment,
    told: moment,
    timer: 0,
    playing: false,
    ended: false,
    media: media(video),
  };
  screen.replaceChildren(now.media ?? picture(video));
  run();
  tell("start");
  title.focus({ preventScroll: true });
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  root.scrollIntoView({ block: "nearest", behavior: calm ? "auto" : "smooth" });
}

export function startPlayer() {
  toggle.addEventListener("click", toggled);
  close.addEventListener("click", leave);
  seek.addEventListener("input", () => {
    if (!now) return;
    now.at = Number(seek.value);
    if (now.media) now.media.currentTime = now.at;
    showTime();
  });
  document.addEventListener("visibilitychange", () => document.hidden && tellLeaving());
  window.addEventListener("pagehide", tellLeaving);
  onLanguage(show);
  show();
}
