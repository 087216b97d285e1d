// The words of the page in Chinese and English. The gateway's own messages are Chinese and shown as they come.

const WORDS = {
  zh: {
    title: "Playtrail · 视频行为日志",
    tagline: "每个动作都先写入日志，再被折叠成你看到的数字。",
    skip: "跳到热点视频",
    hot: "热点视频",
    shuffle: "换一批",
    watch: "观看",
    like: "点赞",
    liked: "已赞",
    film: "电影",
    game: "游戏",
    video: "视频",
    nothing: "还没有播放",
    nothingHint: "选一个视频，按“观看”。播放器会发出 start、ping、stop、end，下方能看到它们落在日志的哪个位置。",
    play: "播放",
    pause: "暂停",
    close: "关闭",
    seek: "播放位置",
    watched: "已看",
    beats: "心跳",
    trail: "行为轨迹",
    trailHint: "点赞或观看后，这里显示这个动作经过的每一站。",
    browser: "浏览器",
    gateway: "网关",
    log: "日志",
    model: "读模型",
    waiting: "等待中",
    answered: "{ms} 毫秒",
    inLog: "已写入日志",
    inSpool: "日志暂不可用，已写入本地暂存",
    visible: "{ms} 毫秒后可见",
    stale: "尚未读到（X-Stale），再查一次",
    lost: "尚未读到，稍后会跟上",
    refused: "未被接受",
    history: "最近动作",
    seconds: "观看时长前十",
    plays: "播放次数前十",
    rank: "点击排行",
    mine: "我的点赞",
    mineEmpty: "还没有点赞",
    mineGuest: "登录后可见",
    noPlays: "还没有播放记录",
    through: "数据截至 {at}",
    live: "实时",
    health: "运行状态",
    ok: "正常",
    failing: "异常",
    guest: "访客",
    user: "用户 {id}",
    viewer: "已登录",
    unreachable: "连不上网关，正在重试",
    signin: "使用令牌",
    signinWhy: "点赞需要知道你是谁。在运行网关的机器上执行下面的命令，把打印出来的令牌粘贴到这里。",
    signinKeep: "令牌只保存在这个标签页，关闭后即失效。",
    tokenLabel: "令牌",
    save: "保存",
    forget: "清除",
    cancel: "取消",
    times: "{n} 次",
    clock: "{m} 分 {s} 秒",
    short: "{s} 秒",
    long: "{h} 小时 {m} 分",
    apiTitle: "Playtrail · 接口",
    apiNav: "接口目录",
    back: "返回首页",
    parameters: "参数",
    body: "请求内容",
    answers: "响应",
    tryIt: "试一试",
    needsToken: "需要令牌",
  },
  en: {
    title: "Playtrail · viewer behaviour as a log",
    tagline: "Every action is written to the log first, then folded into the numbers you see.",
    skip: "Skip to hot videos",
    hot: "Hot videos",
    shuffle: "Show others",
    watch: "Watch",
    like: "Like",
    liked: "Liked",
    film: "Film",
    game: "Game",
    video: "Video",
    nothing: "Nothing is playing",
    nothingHint:
      "Pick a video and press Watch. The player sends start, ping, stop and end, and shows where each landed.",
    play: "Play",
    pause: "Pause",
    close: "Close",
    seek: "Playback position",
    watched: "Watched",
    beats: "Heartbeats",
    trail: "Trail of your action",
    trailHint: "Like or watch something: each station that the action passes appears here.",
    browser: "Browser",
    gateway: "Gateway",
    log: "Log",
    model: "Read model",
    waiting: "Waiting",
    answered: "{ms} ms",
    inLog: "Written to the log",
    inSpool: "Log is away; kept in the local spool",
    visible: "Visible after {ms} ms",
    stale: "Not there yet (X-Stale), asking again",
    lost: "Not there yet; it will catch up",
    refused: "Not accepted",
    history: "Latest actions",
    seconds: "Top ten by time watched",
    plays: "Top ten by plays",
    rank: "Most clicked",
    mine: "My likes",
    mineEmpty: "No likes yet",
    mineGuest: "Shown once you have a token",
    noPlays: "Nothing has been played yet",
    through: "Data up to {at}",
    live: "Live",
    health: "Health",
    ok: "ok",
    failing: "failing",
    guest: "Guest",
    user: "User {id}",
    viewer: "Signed in",
    unreachable: "The gateway cannot be reached; trying again",
    signin: "Use a token",
    signinWhy: "A like needs to know who you are. Run this where the gateway runs and paste the token it prints.",
    signinKeep: "The token stays in this tab and is gone when you close it.",
    tokenLabel: "Token",
    save: "Save",
    forget: "Forget",
    cancel: "Cancel",
    times: "{n}×",
    clock: "{m} min {s} s",
    short: "{s} s",
    long: "{h} h {m} min",
    apiTitle: "Playtrail · API",
    apiNav: "Routes",
    back: "Back to the page",
    parameters: "Parameters",
    body: "Body",
    answers: "Answers",
    tryIt: "Try it",
    needsToken: "needs a token",
  },
};

const listeners = [];
let lang = localStorage.getItem("playtrail.lang") ?? (navigator.language.startsWith("zh") ? "zh" : "en");
if (!(lang in WORDS)) lang = "zh";

/** The word for `key`, with {names} filled from `values`; an unknown key is returned as it is. */
export function t(key, values = {}) {
  const text = WORDS[lang][key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** A Refusal in words: the gateway's own, with its English error word for who does not read them. */
export function told(refusal) {
  if (!refusal.message) return t("unreachable");
  return lang === "en" && refusal.word ? `${refusal.message} (${refusal.word})` : refusal.message;
}

export const onLanguage = (listener) => listeners.push(listener);

/** Fill every element with data-i18n (text) or data-i18n-label (aria-label) below `root`. */
export function translate(root = document) {
  for (const element of root.querySelectorAll("[data-i18n]")) element.textContent = t(element.dataset.i18n);
  for (const element of root.querySelectorAll("[data-i18n-label]"))
    element.setAttribute("aria-label", t(element.dataset.i18nLabel));
}

function apply() {
  document.documentElement.lang = lang === "zh" ? "zh-CN" : "en";
  translate();
  for (const listener of listeners) listener();
}

/** Bind the toggle button and show the page in the visitor's language. */
export function startLanguage(button, titleKey) {
  const show = () => {
    button.textContent = lang === "zh" ? "English" : "中文";
    button.lang = lang === "zh" ? "en" : "zh-CN";
    document.title = t(titleKey);
  };
  button.addEventListener("click", () => {
    lang = lang === "zh" ? "en" : "zh";
    localStorage.setItem("playtrail.lang", lang);
    apply();
    show();
  });
  apply();
  show();
}

/** Seconds for a person: 45 秒, 12 分 05 秒, 3 小时 20 分. */
export function span(seconds) {
  const whole = Math.floor(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  if (h) return t("long", { h, m: String(m).padStart(2, "0") });
  return m ? t("clock", { m, s: String(s).padStart(2, "0") }) : t("short", { s });
}

/** Seconds as on a player: 2:05 or 1:32:05. */
export function clock(seconds) {
  const whole = Math.floor(seconds);
  const pad = (n) => String(n).padStart(2, "0");
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h ? `${h}:${pad(m)}:${pad(s)}` : `${m}:${pad(s)}`;
}
