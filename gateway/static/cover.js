// Covers drawn from the title, so that a catalogue without pictures has a face for each video.

const SVG = "http://www.w3.org/2000/svg";

function svg(name, attributes, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** FNV-1a of the title's code units: the same title has the same cover on every machine. */
function hash(text) {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193) >>> 0;
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d) >>> 0;
  return (h ^ (h >>> 13)) >>> 0;
}

const MOTIFS = [
  (n, ink) =>
    [0, 1, 2, 3].map((i) =>
      svg("circle", {
        cx: 60 + (n % 200),
        cy: 180,
        r: 40 + i * 34,
        fill: "none",
        stroke: ink,
        "stroke-width": 12,
        opacity: 0.5 - i * 0.1,
      }),
    ),
  (n, ink) =>
    [0, 1, 2].map((i) =>
      svg("path", {
        d: `M-10 ${190 - i * 8} L${60 + (n % 90) + i * 60} ${60 + i * 26} L${230 + i * 50} 190 Z`,
        fill: ink,
        opacity: 0.2 + i * 0.12,
      }),
    ),
  (n, ink) => [
    svg("circle", { cx: 90 + (n % 140), cy: 92, r: 44, fill: ink, opacity: 0.62 }),
    svg("path", { d: "M0 118 Q80 96 160 118 T320 118 V180 H0 Z", fill: ink, opacity: 0.24 }),
    svg("path", { d: "M0 144 Q80 122 160 144 T320 144 V180 H0 Z", fill: ink, opacity: 0.3 }),
  ],
  (n, ink) =>
    [0, 1, 2, 3, 4].map((i) =>
      svg("rect", {
        x: 20 + i * 62 + (n % 20),
        y: 30 + ((n >> i) % 5) * 18,
        width: 34,
        height: 180,
        fill: ink,
        opacity: 0.16 + i * 0.08,
      }),
    ),
];

/** A 16:9 drawing for this title; decoration only, so hidden from assistive technology. */
export function cover(title) {
  const n = hash(title || "?");
  const hue = n % 360;
  const id = `g${n.toString(36)}-${Math.random().toString(36).slice(2, 8)}`;
  const stop = (offset, colour) => svg("stop", { offset, "stop-color": colour });
  const gradient = svg(
    "linearGradient",
    { id, x1: 0, y1: 0, x2: 0.7, y2: 1 },
    stop(0, `hsl(${hue} 28% 47%)`),
    stop(1, `hsl(${(hue + 38) % 360} 34% 25%)`),
  );
  const ink = `hsl(${(hue + 52) % 360} 50% 82%)`;
  return svg(
    "svg",
    { viewBox: "0 0 320 180", preserveAspectRatio: "xMidYMid slice", "aria-hidden": "true", focusable: "false" },
    svg("defs", {}, gradient),
    svg("rect", { width: 320, height: 180, fill: `url(#${id})` }),
    ...MOTIFS[(n >>> 9) % MOTIFS.length](n >>> 4, ink),
  );
}

/** The picture of a video: its own when it can be loaded, else the drawing. */
export function picture(video) {
  const drawing = cover(video.title ?? "");
  if (!video.cover_url) return drawing;
  const image = new Image();
  image.alt = "";
  image.loading = "lazy";
  image.addEventListener("error", () => image.replaceWith(drawing));
  image.src = video.cover_url;
  return image;
}
