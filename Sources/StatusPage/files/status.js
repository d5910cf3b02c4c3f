"use strict";
// Asks /metrics every two seconds, keeps ten minutes of it, and draws each chart anew.

const PERIOD_MS = 2000;
const KEPT_MS = 10 * 60 * 1000;
const SHOWN_MS_MIN = 60 * 1000;

// ---- Reading: "name{label="x"} 1" as {name: [{labels, value}]} ----

function parse(text) {
  const families = new Map();
  for (const line of text.split("\n")) {
    const found = /^([a-z_0-9]+)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (!found) continue;
    const labels = {};
    for (const [, name, value] of (found[2] ?? "").matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/g)) {
      labels[name] = value;
    }
    if (!families.has(found[1])) families.set(found[1], []);
    families.get(found[1]).push({ labels, value: Number(found[3]) });
  }
  return families;
}

// The sum of a family's samples that have these labels; null where there is none.
function sum(families, name, labels = {}) {
  const wanted = Object.entries(labels);
  const samples = (families.get(name) ?? []).filter((sample) =>
    wanted.every(([label, values]) => [].concat(values).includes(sample.labels[label])));
  return samples.length ? samples.reduce((total, sample) => total + sample.value, 0) : null;
}

// ---- Measures: from two readings, what stands in a chart; null where nothing can be said ----

const gauge = (name, labels) => (now) => sum(now.families, name, labels);

const ratio = (name, limit) => (now) => {
  const whole = sum(now.families, limit);
  return whole ? sum(now.families, name) / whole : null;
};

const rate = (name, labels) => (now, before) => {
  const difference = before && sum(now.families, name, labels) - sum(before.families, name, labels);
  // Less than before: the process has started anew.
  return before && difference >= 0 ? difference / ((now.at - before.at) / 1000) : null;
};

// Within a bucket values are taken to be spread evenly, as Prometheus does it.
const quantile = (part, name) => (now, before) => {
  if (!before) return null;
  const buckets = (now.families.get(name + "_bucket") ?? []).map(({ labels, value }, index) => ({
    bound: labels.le === "+Inf" ? Infinity : Number(labels.le),
    count: value - (before.families.get(name + "_bucket")?.[index]?.value ?? 0),
  }));
  const total = buckets.at(-1)?.count ?? 0;
  if (total <= 0) return null;
  const index = buckets.findIndex(({ count }) => count >= part * total);
  const [lowBound, lowCount] = index > 0
    ? [buckets[index - 1].bound, buckets[index - 1].count] : [0, 0];
  const { bound, count } = buckets[index];
  if (bound === Infinity) return lowBound;
  return lowBound + (bound - lowBound) * (part * total - lowCount) / (count - lowCount);
};

// ---- Units ----

const number = (value) => value >= 1e6 ? (value / 1e6).toFixed(1) + " M"
  : value >= 1e4 ? (value / 1e3).toFixed(1) + " k"
  : value >= 100 || Number.isInteger(value) ? value.toFixed(0) : value.toFixed(1);
const perSecond = (value) => number(value) + "/s";
const seconds = (value) => value >= 1 ? value.toFixed(2) + " s"
  : value >= 0.001 ? (value * 1e3).toFixed(value >= 0.1 ? 0 : 1) + " ms"
  : (value * 1e6).toFixed(0) + " µs";
const bytes = (value) => value >= 1 << 30 ? (value / (1 << 30)).toFixed(2) + " GiB"
  : value >= 1 << 20 ? (value / (1 << 20)).toFixed(1) + " MiB" : (value / 1024).toFixed(1) + " KiB";
const bytesPerSecond = (value) => bytes(value) + "/s";
const percent = (value) => (value * 100).toFixed(1) + " %";

const OURS = ["overloaded", "storage_unavailable", "commit_unknown"];

// ---- Charts: title, what it means, unit, one measure or two with their names ----

const CHARTS = [
  ["Viewers", "subscriptions to polls", number, gauge("pollstream_subscriptions")],
  ["Votes", "answered; failed because of us", perSecond,
    rate("pollstream_votes_total"), rate("pollstream_votes_total", { answer: OURS }), "failed"],
  ["Vote to screen", "median; 99 %", seconds,
    quantile(0.5, "pollstream_vote_to_frame_seconds"),
    quantile(0.99, "pollstream_vote_to_frame_seconds"), "p99"],
  ["Vote to tally", "queue and commit: median; 99 %", seconds,
    quantile(0.5, "pollstream_vote_to_publish_seconds"),
    quantile(0.99, "pollstream_vote_to_publish_seconds"), "p99"],
  ["Frames", "sent; replaced by a newer one", perSecond,
    rate("pollstream_frames_sent_total"), rate("pollstream_frames_conflated_total"), "replaced"],
  ["Sweep", "99 %; stretch of the tick: 99 %", seconds,
    quantile(0.99, "pollstream_sweep_seconds"),
    quantile(0.99, "pollstream_tick_stretch_seconds"), "stretch"],
  ["Connections", "of all kinds", number, gauge("pollstream_connections")],
  ["Slow readers", "connections that take no more", number,
    gauge("pollstream_blocked_connections")],
  ["Requests", "HTTP; answered with 5xx", perSecond, rate("pollstream_http_requests_total"),
    rate("pollstream_http_responses_total", { class: "5xx" }), "5xx"],
  ["Ballots waiting", "and in commit", number, gauge("pollstream_ledger_ballots")],
  ["Commit", "median; 99 %", seconds, quantile(0.5, "pollstream_ledger_commit_seconds"),
    quantile(0.99, "pollstream_ledger_commit_seconds"), "p99"],
  ["Loops", "lag: 99 %; turn: 99 %", seconds, quantile(0.99, "pollstream_loop_lag_seconds"),
    quantile(0.99, "pollstream_loop_turn_seconds"), "turn"],
  ["Sent", "bytes over all sockets", bytesPerSecond, rate("pollstream_sent_bytes_total")],
  ["Processor", "of one core", percent, rate("process_cpu_seconds_total")],
  ["Memory", "in physical pages", bytes, gauge("process_resident_memory_bytes")],
  ["Buffers", "of the bytes they may hold; from 75 % work is turned away", percent,
    ratio("pollstream_buffer_bytes", "pollstream_buffer_bytes_limit")],
  ["Descriptors", "of those that may be open", percent, ratio("process_open_fds", "process_max_fds")],
].map(([title, about, unit, first, second, name]) =>
  ({ title, about, unit, measures: second ? [first, second] : [first], name, points: [] }));

// ---- What the gateway needs, and what of it is 1 while it is reached; all of it is shown, if in use ----

const PARTS = [
  ["database", {
    ballots: "pollstream_ledger_storage_up", polls: "pollstream_catalogue_storage_up",
    events: "pollstream_events_storage_up", retention: "pollstream_retention_storage_up",
  }],
  ["Redis", {
    publishing: "pollstream_relay_publishing", hearing: "pollstream_relay_subscribed",
  }],
  ["broker", { events: "pollstream_events_connected" }],
];

// ---- Drawing ----

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT] = [300, 72];

function element(parent, tag, className, text) {
  const made = parent.namespaceURI === SVG || tag === "svg"
    ? document.createElementNS(SVG, tag) : document.createElement(tag);
  if (className) made.setAttribute("class", className);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}

function build(chart) {
  const figure = element(document.getElementById("charts"), "figure");
  const caption = element(figure, "figcaption");
  element(caption, "b", "", chart.title);
  caption.append(chart.about);
  chart.now = element(figure, "div", "now");
  chart.svg = element(figure, "svg");
  chart.svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  chart.svg.setAttribute("preserveAspectRatio", "none");
  chart.svg.setAttribute("role", "img");
  // The first lies above the second.
  chart.paths = ["second", "first"].map((name) => element(chart.svg, "path", name)).reverse();
  const range = element(figure, "div", "range");
  chart.top = element(range, "span");
  chart.span = element(range, "span");
}

// A line from point to point; a gap where nothing was measured.
function line(points, index, end, span, top) {
  let isDown = false;
  return points.map(({ at, values }) => {
    const value = values[index] ?? null;
    if (value === null) {
      isDown = false;
      return "";
    }
    const x = WIDTH - (end - at) / span * WIDTH;
    const y = HEIGHT - 1 - value / top * (HEIGHT - 4);
    const move = isDown ? "L" : "M";
    isDown = true;
    return `${move}${x.toFixed(1)} ${y.toFixed(1)}`;
  }).join("");
}

function draw(chart) {
  const last = chart.points.at(-1);
  const span = Math.max(SHOWN_MS_MIN, last.at - chart.points[0].at);
  const top = Math.max(...chart.points.flatMap(({ values }) => values.map((value) => value ?? 0)));
  const [first, second] = last.values;
  chart.now.textContent = first === null ? "–" : chart.unit(first);
  if (second !== undefined && second !== null) {
    element(chart.now, "span", "", `${chart.name} ${chart.unit(second)}`);
  }
  chart.span.textContent = span < 90_000 ? "last minute" : `last ${Math.round(span / 60_000)} minutes`;
  chart.top.textContent = top > 0 ? "most " + chart.unit(top) : "";
  chart.svg.setAttribute("aria-label", `${chart.title}: ${chart.now.textContent}`);
  chart.measures.forEach((_, index) => {
    chart.paths[index].setAttribute("d", line(chart.points, index, last.at, span, top || 1));
  });
}

function fill(id, families, name, label) {
  const table = document.getElementById(id);
  table.replaceChildren();
  for (const { labels, value } of families.get(name) ?? []) {
    if (value === 0) continue;
    const row = element(table, "tr");
    element(row, "td", "", labels[label]);
    element(row, "td", "", value.toLocaleString("en"));
  }
  if (!table.firstChild) element(element(table, "tr"), "td", "", "none");
}

function show(state, text) {
  const place = document.getElementById("state");
  place.className = state;
  place.textContent = text;
}

function showParts(families) {
  const list = document.getElementById("parts");
  list.replaceChildren();
  for (const [part, gauges] of PARTS) {
    const states = Object.entries(gauges).map(([use, name]) => [use, sum(families, name)])
      .filter(([, value]) => value !== null);
    if (!states.length) continue;
    const lost = states.filter(([, value]) => value === 0).map(([use]) => use);
    element(list, "li", lost.length ? "bad" : "good",
      lost.length ? `${part} lost: ${lost.join(", ")}` : `${part} reached`);
  }
}

// ---- Asking ----

let before = null;

async function ask() {
  const answer = await fetch("/metrics", { cache: "no-store" });
  if (!answer.ok) throw new Error(`/metrics says ${answer.status}`);
  const now = { at: Date.now(), families: parse(await answer.text()) };
  const { families } = now;
  if (sum(families, "pollstream_draining")) show("bad", "draining");
  else if (sum(families, "pollstream_ready")) show("good", "ready");
  else show("bad", "not ready: no storage");
  showParts(families);
  document.getElementById("version").textContent =
    families.get("pollstream_build_info")[0].labels.version;
  document.getElementById("since").textContent = `${location.host}, since `
    + new Date(sum(families, "process_start_time_seconds") * 1000).toLocaleString();
  for (const chart of CHARTS) {
    chart.points.push({ at: now.at, values: chart.measures.map((measure) => measure(now, before)) });
    while (chart.points[0].at < now.at - KEPT_MS) chart.points.shift();
    draw(chart);
  }
  fill("votes", families, "pollstream_votes_total", "answer");
  fill("limits", families, "pollstream_limits_hit_total", "limit");
  before = now;
}

async function askAgain() {
  try {
    await ask();
  } catch (error) {
    show("bad", `no answer: ${error.message}`);
    showParts(new Map());
    before = null;
  }
  setTimeout(askAgain, PERIOD_MS);
}

CHARTS.forEach(build);
askAgain();
