// Jobs and schedule: everything here is the admin API with the reader's key. The key lives in this tab's session only,
// goes out as a header, and never into an address.

const $ = (id) => document.getElementById(id);
const BUSY_MS = 1000;
const IDLE_MS = 5000;
const STORED = "polyhouse.admin-key";
const TONES = { done: "good", partial: "warn", failed: "bad", cancelled: "", running: "mark", queued: "" };

let key = sessionStorage.getItem(STORED) ?? "";
let timer = 0;
let shownJobs = "";

class Problem extends Error {
  constructor(status, body) {
    super(body.detail ?? `The server answered ${status}.`);
    this.status = status;
    this.hint = body.hint ?? "";
  }
}

async function api(path, options = {}) {
  const answer = await fetch(`/api/admin/${path}`, {
    ...options, headers: { Accept: "application/json", "X-API-Key": key, ...options.headers },
  });
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Problem(answer.status, body);
  return body;
}

function element(name, { text, className, ...rest } = {}, ...children) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  Object.assign(made, rest);
  made.append(...children);
  return made;
}

const when = (text) => (text ? text.slice(0, 16).replace("T", " ") : "–");
const badge = (word) => element("span", { className: `badge ${TONES[word] ?? ""}`, text: word });

function lasting(from, to) {
  if (!from) return "–";
  const seconds = Math.max(0, Math.round(((to ? Date.parse(to) : Date.now()) - Date.parse(from)) / 1000));
  if (seconds >= 3600) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return seconds >= 60 ? `${Math.floor(seconds / 60)} min ${seconds % 60} s` : `${seconds} s`;
}

function show(problem) {
  const box = $("problem");
  box.hidden = !problem;
  if (!problem) return;
  const texts = {
    401: "This key is refused. Check it, or make another with: polyhouse keys create",
    403: `${problem.message}. Use a key that has it.`,
    404: "Admin routes are off: the server has no key. Set POLYHOUSE_ADMIN_API_KEY and start it again, or: polyhouse keys create",
    429: "Too many wrong keys. Wait a minute, then try again.",
  };
  box.textContent = texts[problem.status] ?? (problem instanceof Problem ? problem.message : "The server does not answer. It is asked again by itself.");
}

function lock(problem) {
  clearTimeout(timer);
  key = "";
  sessionStorage.removeItem(STORED);
  $("admin").hidden = true;
  $("key-form").hidden = false;
  $("key").value = "";
  show(problem);
  if (problem) $("key").focus();
}

function progressOf(job) {
  const progress = job.progress;
  if (job.error) return element("span", { className: "wrap", text: `${job.error.code}: ${job.error.detail}` });
  if (!progress) return element("span", { className: "soft", text: job.status === "queued" ? "waits" : "–" });
  const done = `${progress.done.toLocaleString("en")}${progress.total === null ? "" : ` of ${progress.total.toLocaleString("en")}`} ${progress.unit}`;
  const left = job.status === "running" && progress.eta_seconds !== null ? `, ${progress.eta_seconds} s left` : "";
  const box = element("div", { className: "job-progress" });
  if (progress.percent !== null) {
    box.append(element("progress", { max: 100, value: progress.percent, ariaLabel: `${progress.step}: ${progress.percent} percent` }));
  }
  box.append(element("span", { className: "sub", text: `${progress.step}: ${done}${left}` }));
  return box;
}

function jobRow(job) {
  const stop = element("td");
  if (job.status === "queued" || job.status === "running") {
    const button = element("button", { type: "button", text: job.cancel_asked ? "Stopping…" : "Stop", disabled: job.cancel_asked, ariaLabel: `Stop job ${job.id}` });
    button.addEventListener("click", () => act(`jobs/${job.id}/cancel`, `Job ${job.id} is being stopped.`));
    stop.append(button);
  }
  return element("tr", {},
    element("th", { scope: "row", text: String(job.id) }),
    element("td", { className: "l", title: job.summary, text: job.action }),
    element("td", { className: "l" }, badge(job.status)),
    element("td", { className: "l barcell" }, progressOf(job)),
    element("td", { text: when(job.started_at ?? job.created_at) }),
    element("td", { text: lasting(job.started_at, job.finished_at) }),
    element("td", { className: "l", text: job.origin }),
    stop);
}

function planRow(plan) {
  const run = element("button", { type: "button", text: "Run now", ariaLabel: `Run ${plan.plan} now` });
  run.addEventListener("click", () => act(`schedule/${encodeURIComponent(plan.plan)}/run`, `${plan.plan} is queued.`));
  const last = element("td", { className: "l" });
  if (plan.last_job) last.append(badge(plan.last_job.status), ` ${when(plan.last_job.finished_at ?? plan.last_job.started_at)}`);
  else last.textContent = "–";
  return element("tr", {},
    element("th", { scope: "row", className: "l", text: plan.plan }),
    element("td", { className: "l wrap", text: plan.summary }),
    element("td", { className: "l" }, plan.rule ? element("code", { text: plan.rule }) : element("span", { className: "soft", text: "off" })),
    element("td", { text: when(plan.next_at) }), last, element("td", {}, run));
}

function auditRow(entry) {
  const cells = [when(entry.at), entry.actor, entry.address, entry.action, entry.target ?? "–", entry.outcome];
  return element("tr", {}, ...cells.map((text, place) => element("td", { className: place ? "l" : "", text })));
}

async function act(path, says, body) {
  try {
    // A key per click: a request that is sent again after a lost answer starts nothing twice.
    const headers = { "Idempotency-Key": crypto.randomUUID?.() ?? String(Math.random()) };
    if (body) headers["Content-Type"] = "application/json";
    const done = await api(path, { method: "POST", headers, body: body && JSON.stringify(body) });
    $("started").textContent = typeof says === "function" ? says(done) : says;
    show(null);
    await refresh();
  } catch (problem) {
    show(problem);
  }
}

async function refresh() {
  clearTimeout(timer);
  let wait = IDLE_MS;
  try {
    const [jobs, schedule] = await Promise.all([api("jobs?limit=20"), api("schedule")]);
    const text = JSON.stringify(jobs);
    const isBusy = jobs.rows.some((job) => job.status === "queued" || job.status === "running");
    if (text !== shownJobs || isBusy) {
      const focused = document.activeElement?.ariaLabel;
      $("jobs").replaceChildren(...jobs.rows.map(jobRow));
      if (focused) document.querySelector(`#jobs button[aria-label="${CSS.escape(focused)}"]`)?.focus();
      shownJobs = text;
    }
    $("jobs").closest(".scroll").hidden = jobs.count === 0;
    $("no-jobs").hidden = jobs.count !== 0;
    $("more-jobs").hidden = jobs.next === null;
    $("schedule").replaceChildren(...schedule.rows.map(planRow));
    $("schedule-note").textContent = schedule.is_on ? "times are UTC" : "switched off on this server; plans can be run by hand";
    await audit();
    show(null);
    if (isBusy) wait = BUSY_MS;
  } catch (problem) {
    if (problem instanceof Problem && [401, 403, 404].includes(problem.status)) { lock(problem); return; }
    show(problem);
  }
  timer = setTimeout(refresh, document.hidden ? IDLE_MS * 6 : wait);
}

async function audit() {
  try {
    const log = await api("audit?limit=20");
    $("audit").replaceChildren(...log.rows.map(auditRow));
    $("audit-card").hidden = log.count === 0;
  } catch (problem) {
    if (problem.status !== 403) throw problem; // a key without the scope simply sees no log
    $("audit-card").hidden = true;
  }
}

async function open() {
  try {
    await api("jobs?limit=1");
  } catch (problem) {
    lock(problem);
    return;
  }
  sessionStorage.setItem(STORED, key);
  $("key-form").hidden = true;
  $("admin").hidden = false;
  show(null);
  await refresh();
}

$("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  key = $("key").value.trim();
  open();
});
$("forget").addEventListener("click", () => lock(null));
for (const button of document.querySelectorAll("[data-action]")) {
  button.addEventListener("click", () => act("ingest", (job) => `Job ${job.id}: ${job.action} is ${job.status}.`, { action: button.dataset.action }));
}
$("wallet-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const told = (done) => `${done.wallet} ${done.queued ? "is in the queue again." : "did not fail, so nothing changed."}`;
  act(`wallets/${encodeURIComponent($("wallet").value.trim())}/${event.submitter.value}`, told);
});
if (key) open();
else $("key-form").hidden = false;
