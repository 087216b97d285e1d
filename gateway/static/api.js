// The one place that talks to the gateway: every answer is {code, msg, data}, every failure becomes a Refusal.

const TOKEN = "playtrail.token";

export class Refusal extends Error {
  /** status is 0 when the gateway could not be reached; word is the envelope's stable `error`. */
  constructor(status, msg, word = "", retryAfter = 0) {
    super(msg);
    this.status = status;
    this.word = word;
    this.retryAfter = retryAfter;
  }
}

export const token = () => sessionStorage.getItem(TOKEN) ?? "";

export function setToken(value) {
  if (value) sessionStorage.setItem(TOKEN, value);
  else sessionStorage.removeItem(TOKEN);
}

let signedOut = () => {};

/** `listener(msg)` is called when a pasted token was refused; it is forgotten by then, or it would be refused again. */
export function onSignedOut(listener) {
  signedOut = listener;
}

/** The user id inside a token, or null. The gateway checks the signature; this is for display only. */
export function userOf(jwt) {
  try {
    const part = jwt.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    return JSON.parse(atob(part)).sub ?? null;
  } catch {
    return null;
  }
}

function headers(body) {
  const all = { Accept: "application/json" };
  if (body !== undefined) all["Content-Type"] = "application/json";
  if (token()) all.Authorization = `Bearer ${token()}`;
  return all;
}

async function envelope(response) {
  try {
    return await response.json();
  } catch {
    return { msg: `HTTP ${response.status}`, data: null };
  }
}

function refusal(response, answer) {
  if (response.status === 401 && token()) {
    setToken("");
    signedOut(answer.msg);
  }
  const wait = Number(response.headers.get("Retry-After")) || 0;
  return new Refusal(response.status, answer.msg ?? `HTTP ${response.status}`, answer.error ?? "", wait);
}

/**
 * Call a route. Resolves to {status, data, msg, ms, position, stale}; rejects with a Refusal.
 * A 503 that carries data is an answer too when `lenient` is set: /health/ready says what fails that way.
 */
export async function call(path, { method = "GET", body, position, lenient = false, keepalive = false } = {}) {
  const url = position ? `${path}?position=${encodeURIComponent(position)}` : path;
  const began = performance.now();
  let response;
  try {
    response = await fetch(url, {
      method,
      keepalive,
      headers: headers(body),
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      signal: AbortSignal.timeout(8000),
    });
  } catch {
    throw new Refusal(0, "");
  }
  const answer = await envelope(response);
  if (!response.ok && !(lenient && answer.data)) throw refusal(response, answer);
  return {
    status: response.status,
    data: answer.data,
    msg: answer.msg ?? "",
    ms: Math.max(1, Math.round(performance.now() - began)),
    position: response.headers.get("X-Position") ?? answer.data?.position ?? "",
    stale: response.headers.get("X-Stale") === "true",
  };
}

/** Send while the page is going away. A beacon has no headers, so a viewer with a pasted token uses keepalive. */
export function send(path, body) {
  if (token()) {
    call(path, { method: "POST", body, keepalive: true }).catch(() => {});
    return;
  }
  navigator.sendBeacon(path, JSON.stringify(body));
}

/** A list, whether it came bare or wrapped as {data} or {items}. */
export const listOf = (data) => (Array.isArray(data) ? data : (data?.data ?? data?.items ?? []));

/** Run `task` every `seconds`; failures back off to 15 s; a hidden page asks nothing. */
export function every(seconds, task) {
  let failures = 0;
  let running = false;
  let timer = 0;
  async function run() {
    clearTimeout(timer);
    if (running) return;
    running = true;
    try {
      if (!document.hidden) await task();
      failures = 0;
    } catch (error) {
      failures += 1;
      if (!(error instanceof Refusal)) reportError(error);
    }
    running = false;
    timer = setTimeout(run, 1000 * Math.min(seconds * 2 ** failures, 15));
  }
  document.addEventListener("visibilitychange", () => document.hidden || run());
  run();
}

/** Try until it works, ever less often; `onRefusal` hears of failures. What the gateway calls wrong is not repeated. */
export async function persist(task, onRefusal) {
  for (let wait = 1000; ; wait = Math.min(wait * 2, 15_000)) {
    try {
      return await task();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      onRefusal(error);
      if (error.status >= 400 && error.status < 500 && error.status !== 429) return undefined;
      await new Promise((done) => setTimeout(done, Math.max(wait, 1000 * error.retryAfter)));
    }
  }
}
