// Comfort on top of pages that work without it: colours, shortcuts, and numbers that stay new without a reload.

const say = (text) => { document.getElementById("said").textContent = text; };

/* Colours: light, dark, as the system */
const themes = ["", "light", "dark"];
const themeNames = { "": "as the system", light: "light", dark: "dark" };
const themeButton = document.getElementById("theme");

function showTheme(name) {
  if (name) document.documentElement.dataset.theme = name;
  else delete document.documentElement.dataset.theme;
  themeButton.setAttribute("aria-label", `Colours: ${themeNames[name]}`);
  document.dispatchEvent(new Event("themechange"));
}

function nextTheme() {
  const now = document.documentElement.dataset.theme ?? "";
  const next = themes[(themes.indexOf(now) + 1) % themes.length];
  try { localStorage.setItem("theme", next); } catch { /* not kept, but shown */ }
  showTheme(next);
  say(`Colours: ${themeNames[next]}`);
}

themeButton.hidden = false;
themeButton.addEventListener("click", nextTheme);
showTheme(document.documentElement.dataset.theme ?? "");
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => showTheme(document.documentElement.dataset.theme ?? ""));

/* Shortcuts */
const help = document.getElementById("help");
const keys = document.getElementById("keys");
keys.hidden = false;
keys.addEventListener("click", () => help.showModal());

const follow = (selector) => document.querySelector(selector)?.click();
const shortcuts = {
  "/": () => document.getElementById("search").focus(),
  "?": () => help.showModal(),
  t: nextTheme,
  n: () => follow('main a[rel="next"]'),
  p: () => follow('main a[rel="prev"]'),
};
let leader = -Infinity;

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
  if (event.target.closest("input, select, textarea, [contenteditable]")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const isSecond = performance.now() - leader < 1200;
  leader = -Infinity;
  const target = isSecond && document.querySelector(`.nav a[data-key="${CSS.escape(event.key)}"]`);
  if (target) { event.preventDefault(); target.click(); return; }
  if (event.key === "g") { leader = performance.now(); return; }
  const action = shortcuts[event.key];
  if (action) { event.preventDefault(); action(); }
});

/* Long tables scroll sideways inside themselves: say so to the keyboard only where they do */
function markScrollers(root) {
  for (const box of root.querySelectorAll(".scroll")) {
    if (box.scrollWidth <= box.clientWidth) box.removeAttribute("tabindex");
    else box.tabIndex = 0;
  }
}
markScrollers(document);
addEventListener("resize", () => markScrollers(document));
document.querySelector(".nav a[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
for (const current of document.querySelectorAll(".choices a[aria-current]")) {
  const list = current.closest(".choices");
  list.scrollLeft = current.offsetLeft - list.offsetLeft - list.clientWidth / 2 + current.clientWidth / 2;
}

/* Lists that can be narrowed by typing */
for (const input of document.querySelectorAll("input[data-filter]")) {
  input.closest("[hidden]")?.removeAttribute("hidden");
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/);
    for (const entry of document.querySelectorAll(input.dataset.filter)) {
      const text = entry.textContent.toLowerCase();
      entry.hidden = !words.every((word) => text.includes(word));
    }
  });
}

/* Live: when the tables were built anew, or a run went on, put the new page in the place of the old one */
const main = document.getElementById("content");
const follows = main.dataset.follow;
const streams = follows.startsWith("/api/events");
const IDLE_MS = follows === "progress" ? 5000 : 15_000;
const RUNNING_MS = 1500;
let known = null;
let failures = 0;
let timer = 0;
let news = null;

const stamp = (state) => (follows === "progress" ? JSON.stringify(state) : String(state.build));
const builtNow = () => document.documentElement.dataset.build;

const isChanged = (field) => (field.type === "checkbox" ? field.checked !== field.defaultChecked
  : field.options ? [...field.options].some((option) => option.selected !== option.defaultSelected)
  : field.value !== field.defaultValue);

// Somebody who reads the help, fills in a form or has filled it in is not interrupted.
function isBusy() {
  const active = document.activeElement;
  return Boolean(document.querySelector("dialog[open]"))
    || (main.contains(active) && active.matches("input, select"))
    || [...main.querySelectorAll("input, select")].some(isChanged);
}

function take(page, id) {
  const old = document.getElementById(id);
  const fresh = page.getElementById(id);
  if (old && fresh) old.replaceChildren(...fresh.childNodes);
}

async function refresh() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const open = [...main.querySelectorAll("details[open][id]")].map((one) => one.id);
  const focused = document.activeElement?.id;
  const across = [...main.querySelectorAll(".scroll")].map((box) => box.scrollLeft);
  for (const id of ["content", "fresh", "data-to"]) take(page, id);
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  main.querySelectorAll(".scroll").forEach((box, place) => { box.scrollLeft = across[place] ?? 0; });
  document.documentElement.dataset.build = page.documentElement.dataset.build;
  markScrollers(main);
  document.dispatchEvent(new Event("contentchange"));
}

async function look() {
  clearTimeout(timer);
  let wait = IDLE_MS;
  try {
    const answer = await fetch("/live.json");
    if (!answer.ok) throw new Error(String(answer.status));
    const state = await answer.json();
    failures = 0;
    if (follows === "progress" && state.progress?.state === "running") wait = RUNNING_MS;
    const isNew = known === null ? String(state.build) !== builtNow() : stamp(state) !== known;
    if (!isNew) known = stamp(state);
    else if (!isBusy()) {
      const before = builtNow();
      await refresh();
      known = stamp(state);
      if (builtNow() !== before) say("New numbers have arrived");
    }
  } catch {
    failures += 1;
    wait = Math.min(60_000, IDLE_MS * 2 ** failures);
  }
  timer = setTimeout(look, wait);
}

// Events come in bursts: one refresh for all of them, and the rows that were not there before are marked for a moment.
let burst = 0;
function soon() {
  clearTimeout(burst);
  burst = setTimeout(async () => {
    const newest = Number(main.querySelector("[data-id]")?.dataset.id ?? 0);
    await refresh();
    for (const row of main.querySelectorAll("[data-id]")) row.classList.toggle("new", Number(row.dataset.id) > newest);
  }, 300);
}

// The stream tells of a build at once. Hidden tabs give theirs up: a browser has only a few connections for each server.
function listen() {
  if (document.hidden) {
    news?.close();
    news = null;
    clearTimeout(timer);
    return;
  }
  if (!news) {
    news = new EventSource(streams ? follows : "/api/events?kind=leaderboard");
    news.addEventListener("build", look);
    if (streams) for (const kind of ["trade", "resolution", "leaderboard", "flag", "missed"]) news.addEventListener(kind, soon);
    news.onerror = () => { if (news.readyState === EventSource.CLOSED) news = null; };
  }
  look();
}

if (follows !== "nothing" && builtNow()) {
  document.addEventListener("visibilitychange", listen);
  setTimeout(listen, 500);
}

/* Copy buttons: addresses and ids are long */
function showCopyButtons() {
  for (const button of document.querySelectorAll("[data-copy]")) button.hidden = false;
}
showCopyButtons();
document.addEventListener("contentchange", showCopyButtons);
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  try { await navigator.clipboard.writeText(button.dataset.copy); say("Copied"); button.textContent = "Copied"; }
  catch { say("Copying is not allowed here"); }
});

/* A page that takes longer than a moment says that it is on its way */
let coming = 0;
function expectPage() { coming = setTimeout(() => document.documentElement.classList.add("coming"), 300); }
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href]");
  const leaves = link && link.origin === location.origin && !link.hasAttribute("download") && !link.hash;
  if (leaves && !event.defaultPrevented && !event.ctrlKey && !event.metaKey && !event.shiftKey) expectPage();
});
document.addEventListener("submit", (event) => { if (!event.defaultPrevented && event.target.method !== "dialog") expectPage(); });
addEventListener("pageshow", () => { clearTimeout(coming); document.documentElement.classList.remove("coming"); });
addEventListener("pagehide", () => { clearTimeout(coming); document.documentElement.classList.remove("coming"); });
