// Turns the drawings of the server into charts that can be read point by point (uPlot, shipped with the package).

const tokens = ["--accent", "--warn", "--up", "--down"];

// light-dark() is resolved only where it is used: ask an element what it became.
function resolved(token) {
  const probe = document.createElement("span");
  probe.className = "vh";
  document.body.append(probe);
  probe.style.color = `var(${token})`;
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const two = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const sign = (value) => (value < 0 ? "−" : "");
const axisTexts = {
  usd: (value) => `${sign(value)}$${compact.format(Math.abs(value))}`,
  cents: (value) => `${whole.format(value * 100)}¢`,
  percent: (value) => `${whole.format(value * 100)}%`,
  count: (value) => compact.format(value),
};
const exactTexts = {
  usd: (value) => `${sign(value)}$${two.format(Math.abs(value))}`,
  cents: (value) => `${two.format(value * 100)}¢`,
  percent: (value) => `${two.format(value * 100)}%`,
  count: (value) => whole.format(value),
};

function faded(css, share) {
  const parts = css.match(/[\d.]+/g);
  return parts && css.startsWith("rgb") ? `rgba(${parts.slice(0, 3).join(",")},${share})` : "transparent";
}

function seriesOf(one) {
  const stroke = resolved(tokens[one.color - 1]);
  const paths = one.style === "bars" ? uPlot.paths.bars({ size: [0.7, 24, 3] })
    : one.style === "step" ? uPlot.paths.stepped({ align: 1 }) : undefined;
  return {
    label: one.label, stroke, width: one.style === "bars" ? 0 : 1.75, paths, spanGaps: true, points: { show: false },
    fill: one.style === "bars" ? stroke : one.fill ? faded(stroke, 0.1) : undefined,
  };
}

function tooltip(data) {
  const box = document.createElement("div");
  box.className = "u-tip";
  box.hidden = true;
  const write = (plot) => {
    const { idx, left } = plot.cursor;
    if (idx === null || idx === undefined || left < 0) { box.hidden = true; return; }
    const day = new Date(data.times[idx] * 1000).toISOString().slice(0, 16).replace("T", " ").replace(" 00:00", "");
    const rows = data.series.map((one) => {
      const value = one.values[idx];
      return `${data.series.length > 1 ? `${one.label} ` : ""}${value === null ? "–" : exactTexts[data.unit](value)}`;
    });
    box.replaceChildren(...[day, ...rows].flatMap((text) => [document.createElement("br"), text]).slice(1));
    box.hidden = false;
    const edge = plot.over.offsetLeft + left;
    const flips = edge + box.offsetWidth + 24 > plot.root.offsetWidth;
    box.style.left = `${flips ? edge - box.offsetWidth - 12 : edge + 12}px`;
    box.style.top = "8px";
  };
  return { hooks: { init: (plot) => plot.root.append(box), setCursor: write } };
}

// [least distance of ticks in seconds, text, text where the year, month, day … changes, …, mode] as uPlot wants it.
const DAY = 86400;
const clock = ["\n{D} {MMM} {YYYY}", null, "\n{D} {MMM}", null, null, null, 1];
const timeTexts = [
  [DAY * 365, "{YYYY}", null, null, null, null, null, null, 1],
  [DAY * 28, "{MMM}", "\n{YYYY}", null, null, null, null, null, 1],
  [DAY, "{D} {MMM}", "\n{YYYY}", null, null, null, null, null, 1],
  [60, "{HH}:{mm}", ...clock],
  [1, "{HH}:{mm}:{ss}", ...clock],
];

function options(data, width, height) {
  const grid = { stroke: resolved("--line"), width: 1 };
  const axis = { stroke: resolved("--soft"), grid, ticks: { show: false }, font: '12px "Inter", system-ui, sans-serif' };
  return {
    width, height, tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
    legend: { show: false },
    cursor: { y: false, points: { size: 7 }, drag: { x: true, y: false } },
    scales: {
      x: { time: true },
      y: {
        range: (_plot, low, high) => {
          const least = data.zero ? Math.min(low ?? 0, 0) : low ?? 0;
          const most = data.zero ? Math.max(high ?? 0, 0) : high ?? 1;
          const room = (most - least || 1) * 0.06;
          return [least - (least < 0 || !data.zero ? room : 0), most + room];
        },
      },
    },
    axes: [
      { ...axis, grid: { show: false }, space: 80, values: timeTexts },
      { ...axis, size: 64, values: (_plot, splits) => splits.map(axisTexts[data.unit]) },
    ],
    series: [{}, ...data.series.map(seriesOf)],
    plugins: [tooltip(data)],
  };
}

const drawn = new Map();
const resize = new ResizeObserver((entries) => {
  for (const { target, contentRect } of entries) {
    const plot = drawn.get(target);
    if (plot && contentRect.width > 0) plot.setSize({ width: Math.floor(contentRect.width), height: plot.height });
  }
});

function draw(box) {
  const data = JSON.parse(box.nextElementSibling.textContent);
  drawn.get(box)?.destroy();
  const height = box.clientHeight || 240;
  box.replaceChildren();
  const plot = new uPlot(options(data, Math.max(200, box.clientWidth), height), [data.times, ...data.series.map((one) => one.values)], box);
  drawn.set(box, plot);
  resize.observe(box);
}

function drawAll() {
  for (const [box, plot] of drawn) {
    if (!box.isConnected) { plot.destroy(); resize.unobserve(box); drawn.delete(box); }
  }
  for (const box of document.querySelectorAll("[data-chart]")) draw(box);
  document.documentElement.dataset.charts = String(drawn.size);
}

drawAll();
document.addEventListener("themechange", drawAll);
document.addEventListener("contentchange", drawAll);
