"use strict";
// The first page: the list of polls at /, one poll with its live tally at /p/{id}.
// Texts that people wrote reach the page only as textContent.

const $ = (id) => document.getElementById(id);
const pollID = Number((location.pathname.match(/^\/p\/(\d+)$/) || [])[1]) || null;

function make(tag, text, properties = {}) {
  const element = Object.assign(document.createElement(tag), properties);
  if (text !== undefined) element.textContent = text;
  return element;
}

function notice(text) {
  $("notice").textContent = text;
  $("notice").hidden = !text;
}

// Calls the API; throws the sentence that the gateway says.
async function call(method, path, { body, key } = {}) {
  const headers = {};
  if (body) headers["Content-Type"] = "application/json";
  if (key) headers.Authorization = `Bearer ${key}`;
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  } catch {
    throw Object.assign(new Error("The gateway cannot be reached."), { mayRetry: true });
  }
  if (answer.ok) return answer.status === 204 ? null : answer;
  const { error } = await answer.json().catch(() => ({ error: {} }));
  throw Object.assign(new Error(error.message || `The gateway answered ${answer.status}.`), {
    code: error.code,
    mayRetry: answer.status >= 500 || error.code === "voter_required",
  });
}

const json = async (...request) => (await call(...request)).json();

// What this browser remembers. Without storage it just forgets.
const memory = {
  get(name) { try { return localStorage.getItem(`pollstream.${name}`); } catch { return null; } },
  set(name, value) { try { localStorage.setItem(`pollstream.${name}`, value); } catch { /* forgets */ } },
};
const hostKey = pollID && memory.get(`host.${pollID}`);

$("join").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const poll = await json("GET", `/join/${encodeURIComponent($("code").value.trim())}`);
    location.href = `/p/${poll.id}`;
  } catch (error) { notice(error.message); }
});

// ---- The list ----

let page = 1;

async function showList() {
  const state = document.querySelector("input[name=state]:checked").value;
  try {
    const list = await json("GET", `/polls/?state=${state}&page=${page}`);
    $("polls").replaceChildren(...list.results.map((poll) => {
      const item = make("li");
      item.append(make("a", poll.title, { href: `/p/${poll.id}` }));
      const votes = poll.total_votes === null ? "votes hidden" : count(poll.total_votes, "vote");
      item.append(make("span", `${poll.state} · ${votes} · code ${poll.join_code}`));
      return item;
    }));
    if (!list.results.length) $("polls").append(make("li", "No polls here."));
    $("previous").disabled = !list.previous;
    $("next").disabled = !list.next;
    notice("");
  } catch (error) { notice(error.message); }
}

const count = (number, noun) => `${number.toLocaleString()} ${noun}${number === 1 ? "" : "s"}`;

function addChoice() {
  const item = make("li");
  const row = make("div");
  const input = make("input", undefined, { name: "option", required: true, maxLength: 255 });
  const remove = make("button", "Remove", { type: "button" });
  remove.addEventListener("click", () => { item.remove(); numberChoices(); $("add").focus(); });
  row.append(input, remove);
  item.append(row);
  $("choices").append(item);
  numberChoices();
  return input;
}

function numberChoices() {
  const items = [...$("choices").children];
  items.forEach((item, index) => {
    item.querySelector("input").ariaLabel = `Option ${index + 1}`;
    item.querySelector("button").ariaLabel = `Remove option ${index + 1}`;
    item.querySelector("button").disabled = items.length <= 2;
  });
  $("add").disabled = items.length >= 20;
}

async function createPoll(event) {
  event.preventDefault();
  const form = new FormData($("create"));
  const body = {
    title: form.get("title"),
    description: form.get("description"),
    options: form.getAll("option"),
    kind: form.has("multiple") ? "multiple" : "single",
    results: form.get("results"),
    change_vote: form.has("change_vote"),
  };
  if (form.get("end_time")) body.end_time = new Date(form.get("end_time")).toISOString();
  try {
    const poll = await json("POST", "/polls/", { body });
    memory.set(`host.${poll.id}`, poll.host_key);
    location.href = `/p/${poll.id}`;
  } catch (error) { notice(error.message); }
}

function startList() {
  $("home").hidden = false;
  $("states").addEventListener("change", () => { page = 1; showList(); });
  $("previous").addEventListener("click", () => { page -= 1; showList(); });
  $("next").addEventListener("click", () => { page += 1; showList(); });
  $("add").addEventListener("click", () => addChoice().focus());
  $("create").addEventListener("submit", createPoll);
  addChoice();
  addChoice();
  showList();
}

// ---- One poll ----

let poll = null;

// A snapshot may come late, or again: the higher revision wins.
function take(snapshot) {
  if (poll && snapshot.revision < poll.revision) return;
  const hasSameOptions = poll && poll.kind === snapshot.kind
    && JSON.stringify(poll.options.map((o) => [o.id, o.text]))
      === JSON.stringify(snapshot.options.map((o) => [o.id, o.text]));
  poll = snapshot;
  if (!hasSameOptions) buildOptions();
  showPoll();
}

function takeTally(tally) {
  if (!poll || tally.revision <= poll.revision) return;
  poll.revision = tally.revision;
  poll.total_votes = tally.total;
  poll.options.forEach((option, index) => { option.vote_count = tally.counts[index]; });
  showPoll();
}

function buildOptions() {
  const chosen = (memory.get(`vote.${pollID}`) || "").split(",").map(Number);
  const type = poll.kind === "multiple" ? "checkbox" : "radio";
  $("options").replaceChildren(...poll.options.map((option) => {
    const label = make("label");
    const input = make("input", undefined, { type, name: "choice", value: option.id });
    input.checked = chosen.includes(option.id);
    label.append(
      make("span", undefined, { className: "bar", ariaHidden: "true" }), input,
      make("span", option.text, { className: "text" }), make("span", "", { className: "count" }));
    const item = make("li");
    item.append(label);
    return item;
  }));
}

function showPoll() {
  document.title = `${poll.title} · PollStream`;
  $("question").textContent = poll.title;
  $("about").textContent = poll.description;
  $("state").textContent = poll.state;
  $("joincode").textContent = poll.join_code;
  $("total").textContent =
    poll.total_votes === null ? "Results are hidden for now" : count(poll.total_votes, "vote");
  $("legend").textContent =
    poll.max_choices > 1 ? `Choose up to ${poll.max_choices}` : "Choose one";
  const marks = Math.max(1, poll.total_votes || 0);
  [...$("options").children].forEach((item, index) => {
    const votes = poll.options[index].vote_count;
    const share = votes === null ? 0 : votes / marks;
    item.querySelector(".bar").style.width = `${100 * share}%`;
    item.querySelector(".count").textContent =
      votes === null ? "" : `${votes.toLocaleString()} · ${Math.round(100 * share)} %`;
    item.querySelector("input").disabled = poll.state !== "open";
  });
  $("cast").hidden = poll.state !== "open";
  $("open").hidden = poll.state !== "scheduled";
  $("close").hidden = poll.state === "closed";
  $("hosting").hidden = !hostKey;
  $("poll").hidden = false;
  speakSoon();
}

// Says the tally to screen readers, at most every five seconds.
let speaking = null;
let spoken = "";

function speakSoon() {
  speaking ??= setTimeout(() => {
    speaking = null;
    if (poll.total_votes === null) return;
    const text = `${count(poll.total_votes, "vote")}. `
      + poll.options.map((o) => `${o.text}: ${o.vote_count}`).join(", ");
    if (text !== spoken) $("spoken").textContent = spoken = text;
  }, 5000);
}

async function castVote(event) {
  event.preventDefault();
  const chosen = [...document.querySelectorAll("input[name=choice]:checked")].map((i) => Number(i.value));
  if (!chosen.length) { $("outcome").textContent = "Choose an option first."; return; }
  $("cast").disabled = true;
  $("outcome").textContent = "Sending…";
  $("outcome").textContent = await sendBallot(chosen);
  $("cast").disabled = false;
}

// Sends it again where that is safe: the gateway counts a voter once, however often it is sent.
async function sendBallot(chosen) {
  const body = { poll_id: pollID, option_ids: chosen };
  for (let attempt = 0; ; attempt += 1) {
    try {
      const answer = await json("POST", "/votes/", { body });
      memory.set(`vote.${pollID}`, chosen.join(","));
      if (answer.status === "changed") return "Your vote was changed.";
      return answer.repeated ? "Your vote was counted before." : "Your vote is counted.";
    } catch (error) {
      if (!error.mayRetry || attempt === 4) return error.message;
      // The first 401 brought the cookie that makes us a voter.
      if (error.code !== "voter_required") await pause(250 * 2 ** attempt * (1 + Math.random()));
    }
  }
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// ---- Live ----

let failures = 0;
let isOver = false;

function connect() {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(`${scheme}//${location.host}/ws/`, "pollstream.v1");
  let reconnectDelay = null;
  socket.onopen = () => {
    const subscribe = { type: "subscribe", poll_ids: [pollID] };
    if (hostKey) subscribe.host_key = hostKey;
    socket.send(JSON.stringify(subscribe));
  };
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    switch (message.type) {
      case "snapshot": failures = 0; $("link").textContent = ""; take(message.poll); break;
      case "tally": takeTally(message); break;
      case "viewers": $("viewers").textContent = `${message.viewers.toLocaleString()} watching`; break;
      case "state": takeState(message); break;
      case "draining":
        // Its own delay for each client: all at once would overrun the gateway that takes over.
        reconnectDelay = 0;
        setTimeout(() => socket.close(), message.reconnect_in_ms);
        break;
      case "error": if (message.code === "poll_not_found") end("There is no such poll."); break;
    }
  };
  socket.onclose = () => {
    if (isOver) return;
    $("link").textContent = "Reconnecting…";
    const backoff = Math.random() * Math.min(30000, 500 * 2 ** failures);
    failures += 1;
    setTimeout(connect, reconnectDelay ?? backoff);
  };
}

function takeState({ revision, state }) {
  if (!poll || revision < poll.revision) return;
  if (state === "deleted") { end("This poll was deleted."); return; }
  poll.revision = revision;
  poll.state = state;
  showPoll();
}

function end(text) {
  isOver = true;
  $("poll").hidden = true;
  notice(text);
}

async function host(method, path, question) {
  if (question && !confirm(question)) return;
  try {
    const answer = await call(method, `/polls/${pollID}/${path}`, { key: hostKey });
    if (path === "ballots/") save(await answer.blob());
    else if (answer) take(await answer.json());
    else location.href = "/";
  } catch (error) { notice(error.message); }
}

function save(blob) {
  const link = make("a", undefined, {
    href: URL.createObjectURL(blob), download: `ballots-${pollID}.csv`,
  });
  link.click();
  URL.revokeObjectURL(link.href);
}

function startPoll() {
  $("vote").addEventListener("submit", castVote);
  $("open").addEventListener("click", () => host("POST", "open/"));
  $("close").addEventListener("click", () => host("POST", "close/", "Close this poll for good?"));
  $("export").addEventListener("click", () => host("GET", "ballots/"));
  $("delete").addEventListener("click", () => host("DELETE", "", "Delete this poll and its ballots?"));
  connect();
}

if (pollID) startPoll(); else startList();
