// Horizontal bars that glide to their new place: rows stand at --rank, bars are --share of the width (style.css).

import { t } from "./i18n.js";

const GLIDE_MS = 800;

function part(kind, ...children) {
  const element = document.createElement(kind === "bar" ? "li" : "span");
  element.className = kind;
  element.append(...children);
  return element;
}

function makeRow() {
  const [rank, name, value, fill] = ["bar-rank", "bar-name", "bar-value", "bar-fill"].map((kind) => part(kind));
  return { row: part("bar", rank, name, value, part("bar-track", fill)), rank, name, value };
}

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A chart in `list` (an ol); `format` turns a value into text. Returns draw([{id, name, value}]). */
export function barChart(list, format) {
  const rows = new Map();
  let later = 0;

  function place(item, index, largest) {
    if (!rows.has(item.id)) rows.set(item.id, makeRow());
    const parts = rows.get(item.id);
    parts.row.style.setProperty("--rank", index);
    parts.row.style.setProperty("--share", Math.max(item.value / largest, 0.004).toFixed(4));
    write(parts.rank, String(index + 1));
    write(parts.name, item.name);
    parts.name.title = item.name;
    write(parts.value, format(item.value));
    if (!parts.row.isConnected) list.append(parts.row);
  }

  function drop(kept) {
    for (const [id, parts] of rows)
      if (!kept.has(id)) {
        parts.row.remove();
        rows.delete(id);
      }
  }

  return function draw(items) {
    const largest = Math.max(1, ...items.map((item) => item.value));
    drop(new Set(items.map((item) => item.id)));
    items.forEach((item, index) => place(item, index, largest));
    list.dataset.state = items.length ? "ready" : "empty";
    list.dataset.empty = t("noPlays");
    // Moving a node cuts its transition short, so the reading order follows once the rows have arrived.
    clearTimeout(later);
    later = setTimeout(
      () =>
        sortNodes(
          list,
          items.map((item) => rows.get(item.id)?.row),
        ),
      GLIDE_MS,
    );
  };
}

function sortNodes(list, order) {
  const wanted = order.filter(Boolean);
  if (wanted.some((row, index) => list.children[index] !== row)) list.append(...wanted);
}

/** The statistics answer's two parallel lists as rows for a chart. */
export function items(ids = [], values = []) {
  return values.map((entry, index) => ({
    id: String(ids[index] ?? index),
    name: entry.name ?? String(ids[index]),
    value: Number(entry.value) || 0,
  }));
}
