// Renders /openapi.json: routes by tag, parameters, bodies, answers, schemas; a GET can be tried in place.

import { token } from "./api.js";
import { onLanguage, startLanguage, t } from "./i18n.js";
import { schemaView } from "./schema.js";

const METHODS = ["get", "post", "put", "patch", "delete"];
const get = (id) => document.querySelector(`#${id}`);
let api = null;

function el(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const anchor = (method, path) => `${method}-${path}`.replace(/[^\w]+/g, "-");
const resolve = (thing) =>
  thing?.$ref
    ? thing.$ref
        .slice(2)
        .split("/")
        .reduce((node, key) => node?.[key], api)
    : thing;

/** [{method, path, operation}] in the document's order; parameters of the path are added to each operation's own. */
function operations() {
  return Object.entries(api.paths ?? {}).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => {
      const parameters = [...(item.parameters ?? []), ...(item[method].parameters ?? [])].map(resolve);
      return { method, path, operation: item[method], parameters };
    }),
  );
}

function byTag(all) {
  const groups = new Map();
  for (const one of all) {
    const tag = one.operation.tags?.[0] ?? "";
    groups.set(tag, [...(groups.get(tag) ?? []), one]);
  }
  return groups;
}

function typeOf(schema) {
  const known = resolve(schema) ?? {};
  const type = Array.isArray(known.type) ? known.type.join(" | ") : (known.type ?? (known.enum ? "enum" : "any"));
  return known.enum ? `${type}: ${known.enum.join(", ")}` : type;
}

function parameterTable(parameters) {
  if (!parameters.length) return null;
  const rows = parameters.map((one) =>
    el(
      "tr",
      "",
      el("th", "", el("code", "", one.name), one.required ? el("span", "must", " *") : null),
      el("td", "", one.in),
      el("td", "", typeOf(one.schema)),
      el("td", "", one.description ?? ""),
    ),
  );
  return el("div", "scroll", el("table", "", el("caption", "", t("parameters")), el("tbody", "", ...rows)));
}

function content(part) {
  const [kind, media] = Object.entries(part?.content ?? {})[0] ?? [];
  return media?.schema ? el("div", "", el("p", "media", kind), schemaView(media.schema, resolve)) : null;
}

function answers(responses = {}) {
  return Object.entries(responses).map(([status, named]) => {
    const response = resolve(named);
    const body = content(response);
    const head = [el("b", `status s${status[0]}`, status), ` ${response.description ?? ""}`];
    return body ? el("details", "answer", el("summary", "", ...head), body) : el("p", "answer", ...head);
  });
}

function fill(path, fields) {
  const query = new URLSearchParams();
  let url = path;
  for (const { one, input } of fields) {
    if (one.in === "path") url = url.replace(`{${one.name}}`, encodeURIComponent(input.value));
    else if (input.value) query.set(one.name, input.value);
  }
  return query.size ? `${url}?${query}` : url;
}

async function tryIt(url, output) {
  output.hidden = false;
  output.textContent = `GET ${url}\n…`;
  try {
    const response = await fetch(url, { headers: token() ? { Authorization: `Bearer ${token()}` } : {} });
    const text = await response.text();
    output.textContent = `GET ${url}\nHTTP ${response.status}\n\n${pretty(text)}`;
  } catch {
    output.textContent = t("unreachable");
  }
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text.slice(0, 20_000);
  }
}

function trial({ method, path, parameters }) {
  if (method !== "get") return null;
  const fields = parameters
    .filter((one) => one.in === "path" || one.in === "query")
    .map((one) => {
      const input = el("input", "");
      input.value = one.in === "path" ? String(one.example ?? resolve(one.schema)?.examples?.[0] ?? 1) : "";
      return { one, input };
    });
  const output = el("pre", "output");
  output.hidden = true;
  output.tabIndex = 0;
  const button = el("button", "", t("tryIt"));
  button.type = "submit";
  const form = el("form", "try", ...fields.map(({ one, input }) => el("label", "", `${one.name} `, input)), button);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    tryIt(fill(path, fields), output);
  });
  return el("div", "", form, output);
}

/** An operation whose security has no empty alternative needs a token. */
function who({ security = [{}] }) {
  const open = security.some((way) => Object.keys(way).length === 0);
  return open ? null : el("span", "needs", t("needsToken"));
}

function operationView(one) {
  const { method, path, operation, parameters } = one;
  const section = el(
    "section",
    "panel route",
    el("h3", "", el("span", `method ${method}`, method.toUpperCase()), " ", el("code", "", path), who(operation)),
    operation.summary ? el("p", "summary", operation.summary) : null,
    operation.description ? el("p", "hint", operation.description) : null,
    parameterTable(parameters),
  );
  const body = content(resolve(operation.requestBody));
  if (body) section.append(el("h4", "", t("body")), body);
  section.append(el("h4", "", t("answers")), ...answers(operation.responses));
  const attempt = trial(one);
  if (attempt) section.append(attempt);
  section.id = anchor(method, path);
  return section;
}

function contentsView(groups) {
  return [...groups]
    .flatMap(([tag, all]) => [
      tag ? el("p", "tag", tag) : null,
      el(
        "ul",
        "",
        ...all.map(({ method, path }) => {
          const link = el("a", "", el("span", `method ${method}`, method.toUpperCase()), " ", path);
          link.href = `#${anchor(method, path)}`;
          return el("li", "", link);
        }),
      ),
    ])
    .filter(Boolean);
}

function render() {
  if (!api) return;
  const groups = byTag(operations());
  get("name").textContent = api.info?.title ?? "Playtrail";
  get("about").textContent = `${api.info?.version ?? ""} · OpenAPI ${api.openapi}`;
  get("contents").replaceChildren(...contentsView(groups));
  get("routes").replaceChildren(...[...groups.values()].flat().map(operationView));
  get("routes").setAttribute("aria-busy", "false");
}

async function load() {
  for (let wait = 1000; ; wait = Math.min(wait * 2, 15_000)) {
    try {
      const response = await fetch("/openapi.json");
      if (response.ok) {
        api = await response.json();
        render();
        if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
        return;
      }
    } catch {
      // Asked again below.
    }
    get("state").textContent = t("unreachable");
    await new Promise((done) => setTimeout(done, wait));
  }
}

onLanguage(render);
startLanguage(get("lang"), "apiTitle");
load();
