// The operator's page: asks for the lag every two seconds and draws it. Unknown is a dash, never a 0.

const EVERY_MS = 2000;
const [HEIGHT, LEFT, BOTTOM] = [112, 52, 18];
const SVG = "http://www.w3.org/2000/svg";
const LEVELS = ["within its target", "late: over the target warn", "late: over the target page, or not known"];
const panels = new Map();

const counted = (value) => (value === null ? "–" : Math.round(value).toLocaleString("en"));
const rated = (value) => (value === null ? "–" : value.toLocaleString("en", { maximumFractionDigits: 1 }));

function lasting(value) {
  if (value === null || value === undefined) return "–";
  if (value === "infinite") return "never";
  if (value < 1) return `${Math.round(value * 1000)} ms`;
  if (value < 120) return `${value.toFixed(value < 10 ? 1 : 0)} s`;
  if (value < 7200) return `${Math.round(value / 60)} min`;
  if (value < 172800) return `${Math.round(value / 3600)} h`;
  return `${Math.round(value / 86400)} d`;
}

function make(kind, attributes = {}, ...children) {
  const element = document.createElement(kind);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function draw(kind, attributes, text = "") {
  const element = document.createElementNS(SVG, kind);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
}

/** The lag in seconds over time. A time that is not known is a gap in the line. */
function plot(svg, points, projection) {
  const known = points.filter((point) => point[2] !== null);
  const end = points.length ? points.at(-1)[0] : 0;
  const span = Math.max(60_000, end - (points[0]?.[0] ?? end));
  const width = svg.clientWidth || 1200; // drawn at its own size, so that no text is stretched
  svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  const most = Math.max(projection.warn_seconds * 1.25, ...known.map((point) => point[2] * 1.1));
  const x = (ms) => LEFT + (1 - (end - ms) / span) * (width - LEFT);
  const y = (seconds) => 6 + (1 - seconds / most) * (HEIGHT - BOTTOM - 6);
  const level = (seconds, kind) => draw("line", { class: kind, x1: LEFT, x2: width, y1: y(seconds), y2: y(seconds) });
  const lines = [level(0, "grid"), level(projection.warn_seconds, "target")];
  if (projection.page_seconds < most) lines.push(level(projection.page_seconds, "target page"));
  svg.replaceChildren(...areas(points, x, y), ...lines, ...curves(points, x, y));
  svg.append(
    draw("text", { x: LEFT - 6, y: y(0) + 4, "text-anchor": "end" }, "0"),
    draw("text", { x: LEFT - 6, y: y(projection.warn_seconds) + 4, "text-anchor": "end" }, lasting(projection.warn_seconds)),
    draw("text", { x: LEFT, y: HEIGHT - 3 }, `${lasting(span / 1000)} ago`),
    draw("text", { x: width, y: HEIGHT - 3, "text-anchor": "end" }, "now"),
  );
  const last = known.length ? lasting(known.at(-1)[2]) : "not known";
  svg.setAttribute("aria-label", `Lag of ${projection.projection} in seconds over the last ${lasting(span / 1000)}; now ${last}`);
}

function runs(points) {
  const found = [[]];
  for (const point of points) point[2] === null ? found.push([]) : found.at(-1).push(point);
  return found.filter((run) => run.length > 0);
}

function curves(points, x, y) {
  return runs(points).map((run) => draw("polyline", { class: "curve", points: run.map((p) => `${x(p[0])},${y(p[2])}`).join(" ") }));
}

function areas(points, x, y) {
  return runs(points).map((run) => {
    const top = run.map((p) => `${x(p[0])},${y(p[2])}`);
    return draw("polygon", { class: "area", points: [`${x(run[0][0])},${y(0)}`, ...top, `${x(run.at(-1)[0])},${y(0)}`].join(" ") });
  });
}

function figures(projection, probe) {
  const pairs = [
    ["Behind by", `${counted(projection.lag)} <small>events</small>`],
    ["Oldest unread", lasting(projection.lag_seconds)],
    ["In", `${rated(projection.rate_in)} <small>/s</small>`],
    ["Folded", `${rated(projection.rate_out)} <small>/s</small>`],
    ["Caught up in", lasting(projection.catch_up_seconds)],
    ["Log keeps for", projection.retention_seconds === null ? "ever" : lasting(projection.headroom_seconds)],
    ["Skew", projection.skew === null ? "–" : `${rated(projection.skew)} <small>×</small>`],
  ];
  if (probe) pairs.push(["Event to visible", probe.failure ? "failed" : lasting(probe.visible)]);
  return pairs.map(([name, value]) => {
    const shown = make("dd");
    shown.innerHTML = value; // numbers and words of this file alone
    return make("div", {}, make("dt", {}, name), shown);
  });
}

const COLUMNS = ["partition", "state", "position", "end", "lag", "oldest unread", "in /s", "folded /s", "in Kafka", "owner"];

function partitions(projection) {
  const head = make("thead", {}, make("tr", {}, ...COLUMNS.map((name) => make("th", { scope: "col" }, name))));
  const rows = projection.partitions.map((p) => {
    const cells = [
      String(p.partition), p.state, counted(p.position), counted(p.end), counted(p.lag),
      (p.estimated ? "~ " : "") + lasting(p.lag_seconds), rated(p.rate_in), rated(p.rate_out), counted(p.committed), p.owner || "nobody",
    ];
    return make("tr", {}, ...cells.map((cell) => make("td", {}, cell)));
  });
  return [head, make("tbody", {}, ...rows)];
}

function panelOf(name) {
  if (!panels.has(name)) {
    const svg = draw("svg", { class: "plot", role: "img" });
    const parts = { head: make("header"), figures: make("dl", { class: "figures" }), svg, table: make("table", { class: "partitions" }) };
    const panel = make("section", { class: "projection", "aria-label": name });
    panel.append(parts.head, parts.figures, svg, make("div", { class: "scroll" }, parts.table));
    document.getElementById("projections").append(panel);
    panels.set(name, parts);
  }
  return panels.get(name);
}

function show(projection, points, probe) {
  const parts = panelOf(projection.projection);
  const unowned = projection.unowned.length ? `, nobody has ${projection.unowned.join(", ")}` : "";
  parts.head.replaceChildren(
    make("h2", {}, projection.projection),
    make("span", { class: "state", "data-level": projection.level }, projection.state),
    make("span", {}, LEVELS[projection.level] + unowned),
    make("span", { class: "hint" }, `${projection.group} · ${projection.topic}`),
  );
  parts.figures.replaceChildren(...figures(projection, probe));
  plot(parts.svg, points ?? [], projection);
  parts.table.replaceChildren(...partitions(projection));
}

function notice(text) {
  const element = document.getElementById("notice");
  element.textContent = text;
  element.hidden = !text;
}

async function refresh() {
  try {
    const answer = await fetch("/ops/lag", { cache: "no-store" });
    const body = await answer.json();
    if (!answer.ok) throw new Error(body.msg);
    const { report, history, probes } = body.data;
    for (const projection of report.projections) show(projection, history[projection.projection], probes[projection.projection]);
    notice(Object.entries(report.errors).map(([name, reason]) => `${name}: ${reason}`).join(" · "));
    document.getElementById("fresh").textContent = `as of ${new Date(report.sampled_at).toLocaleTimeString("en-GB")}`;
    document.getElementById("projections").removeAttribute("aria-busy");
  } catch (error) {
    notice(`The gateway does not answer: ${error.message}. What is shown is the last that it said.`);
  }
  setTimeout(refresh, EVERY_MS);
}

refresh();
