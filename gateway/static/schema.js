// A JSON Schema as a nested list that can be unfolded; a schema that contains itself is named and not followed again.

const LIMITS = ["minimum", "maximum", "minLength", "maxLength", "pattern", "format", "default"];

function el(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

const nameOf = (schema) => schema?.$ref?.split("/").pop() ?? schema?.title ?? "";

function typeText(schema) {
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  return Array.isArray(schema.type) ? schema.type.join(" | ") : (schema.type ?? "");
}

function limitsText(schema) {
  return LIMITS.filter((key) => schema[key] !== undefined)
    .map((key) => `${key} ${JSON.stringify(schema[key])}`)
    .join(", ");
}

function line(schema, known, title) {
  const label = [typeText(known) || nameOf(schema), limitsText(known)].filter(Boolean).join("; ");
  return [
    title ? el("code", "", title) : null,
    " ",
    el("span", "type", label),
    known.description ? el("span", "hint", ` ${known.description}`) : null,
  ];
}

/** The schemas below this one, as [title, schema] pairs. */
function parts(known) {
  const required = new Set(known.required ?? []);
  const properties = Object.entries(known.properties ?? {}).map(([name, child]) => [
    required.has(name) ? `${name} *` : name,
    child,
  ]);
  const items = known.items && known.items !== true ? [["[ ]", known.items]] : [];
  const fixed = (known.prefixItems ?? []).map((child, index) => [`[${index}]`, child]);
  const others = typeof known.additionalProperties === "object" ? [["{ }", known.additionalProperties]] : [];
  const choices = (known.anyOf ?? known.oneOf ?? known.allOf ?? []).map((child, index) => [`${index + 1}.`, child]);
  return [...properties, ...items, ...fixed, ...others, ...choices];
}

/** DOM of a schema; `resolve` follows a $ref; `seen` holds the references on the way here. */
export function schemaView(schema, resolve, title = "", seen = new Set()) {
  const known = resolve(schema) ?? {};
  const below = schema?.$ref && seen.has(schema.$ref) ? [] : parts(known);
  if (!below.length) return el("div", "leaf", ...line(schema, known, title));
  const onTheWay = schema?.$ref ? new Set([...seen, schema.$ref]) : seen;
  const view = el(
    "details",
    "schema",
    el("summary", "", ...line(schema, known, title || nameOf(schema))),
    ...below.map(([name, child]) => schemaView(child, resolve, name, onTheWay)),
  );
  view.open = seen.size === 0 && !title;
  return view;
}
