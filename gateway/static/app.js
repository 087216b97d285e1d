// The page at /: puts the parts together and keeps them fresh.

import { call, every, listOf, persist } from "./api.js";
import { barChart, items } from "./charts.js";
import { loadHot, loadOwn, startHot } from "./hot.js";
import { onLanguage, span, startLanguage, t, told } from "./i18n.js";
import { startPlayer, watch } from "./player.js";
import { onViewer, say, startViewer } from "./viewer.js";

const STATISTICS_S = 1.5;
const RANK_S = 4;
const HEALTH_S = 5;
const LATE_MS = 15_000;
const get = (id) => document.querySelector(`#${id}`);
const drawSeconds = barChart(get("seconds"), span);
const drawPlays = barChart(get("plays"), (n) => t("times", { n: n.toLocaleString() }));
let last = null;
let live = true;
let health = null;

function drawStatistics() {
  if (!last) return;
  drawSeconds(items(last.time_x_data, last.time_y_data));
  drawPlays(items(last.counts_x_data, last.counts_y_data));
}

/** Whether the numbers are live, or how old they are when the store is away. */
function drawFresh() {
  const through = new Date(last?.valid_through ?? NaN);
  const known = !Number.isNaN(through.getTime());
  const well = live && known && Date.now() - through.getTime() < LATE_MS;
  get("fresh").dataset.state = well ? "ok" : "warn";
  const at = known ? through.toLocaleTimeString("zh-CN", { hour12: false }) : "–";
  get("fresh").textContent = well ? t("live") : t("through", { at });
}

async function statistics() {
  live = false;
  try {
    last = (await call("/video/statistics")).data;
    live = true;
    drawStatistics();
  } finally {
    drawFresh();
  }
}

async function rank() {
  const rows = listOf((await call("/video/rank")).data).map((video) => {
    const row = document.createElement("li");
    row.textContent = row.title = video.title;
    return row;
  });
  get("rank").replaceChildren(...rows);
  get("rank").dataset.state = "ready";
}

/** {part: "ok" or why it fails} as [[part, well, why]]. */
const lampsOf = (data) => Object.entries(data ?? {}).map(([part, state]) => [part, state === "ok", state]);

function drawLamps() {
  const rows = health ?? [["gateway", false, t("unreachable")]];
  get("lamps").replaceChildren(
    ...rows.map(([name, well, why]) => {
      const lamp = document.createElement("li");
      lamp.dataset.state = well ? "ok" : "bad";
      lamp.textContent = name;
      const state = document.createElement("span");
      state.textContent = t(well ? "ok" : "failing");
      lamp.append(state);
      lamp.title = `${name}: ${well ? t("ok") : why}`;
      return lamp;
    }),
  );
}

async function healthNow() {
  try {
    health = lampsOf((await call("/health/ready", { lenient: true })).data);
  } catch (refusal) {
    health = null;
    throw refusal;
  } finally {
    drawLamps();
  }
}

const tell = (refusal) => say(told(refusal));

/** The lists until they come: what everybody sees, then what is the viewer's own. */
async function first() {
  await persist(loadHot, tell);
  await persist(loadOwn, tell);
}

startLanguage(get("lang"), "title");
startViewer();
startPlayer();
startHot(watch);
onViewer(() => persist(loadOwn, tell));
onLanguage(() => {
  drawStatistics();
  if (last) drawFresh();
  drawLamps();
});
first();
every(STATISTICS_S, statistics);
every(RANK_S, rank);
every(HEALTH_S, healthNow);
