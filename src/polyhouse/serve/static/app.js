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
let leader = 0;

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
  if (event.target.closest("input, select, textarea, [contenteditable]")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (event.key === "g") { leader = performance.now(); return; }
  const isSecond = performance.now() - leader < 1200;
  leader = 0;
  const target = isSecond && document.querySelector(`.nav a[data-key="${CSS.escape(event.key)}"]`);
  if (target) { event.preventDefault(); target.click(); return; }
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

/* Live: ask what the store is at; when it moved, put the new page in the place of the old one */
const main = document.getElementById("content");
const IDLE_MS = 5000;
const RUNNING_MS = 1500;
let known = null;
let failures = 0;

const stamp = (state) => main.dataset.follow === "progress"
  ? JSON.stringify(state)
  : String(state.build);

function isBusy() {
  const active = document.activeElement;
  return Boolean(document.querySelector("dialog[open]")) || (main.contains(active) && active.matches("input, select, textarea"));
}

async function refresh() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const open = new Set([...main.querySelectorAll("details[open][id]")].map((one) => one.id));
  const focused = document.activeElement?.id;
  for (const id of ["content", "fresh"]) {
    const old = document.getElementById(id);
    const fresh = page.getElementById(id);
    if (old && fresh) old.replaceChildren(...fresh.childNodes);
  }
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  document.querySelector(".foot span:nth-child(2)")?.replaceWith(page.querySelector(".foot span:nth-child(2)"));
  document.documentElement.dataset.build = page.documentElement.dataset.build;
  markScrollers(main);
  document.dispatchEvent(new Event("contentchange"));
}

async function look() {
  let wait = IDLE_MS;
  try {
    const answer = await fetch("/live.json");
    if (!answer.ok) throw new Error(String(answer.status));
    const state = await answer.json();
    failures = 0;
    if (state.progress?.state === "running") wait = RUNNING_MS;
    const seen = stamp(state);
    const isNew = known === null ? String(state.build) !== document.documentElement.dataset.build : seen !== known;
    if (!isNew) known = seen;
    else if (!isBusy()) {
      const build = document.documentElement.dataset.build;
      known = seen;
      await refresh();
      if (document.documentElement.dataset.build !== build) say(`New numbers: build ${state.build}`);
    }
  } catch {
    failures += 1;
    wait = Math.min(60_000, IDLE_MS * 2 ** failures);
  }
  setTimeout(look, wait);
}

if (main.dataset.follow !== "nothing" && document.documentElement.dataset.build) {
  const begin = () => (document.hidden ? document.addEventListener("visibilitychange", begin, { once: true }) : look());
  setTimeout(begin, 1000);
}

/* Copy buttons: addresses and ids are long */
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  try { await navigator.clipboard.writeText(button.dataset.copy); say("Copied"); button.textContent = "Copied"; }
  catch { say("Copying is not allowed here"); }
});
