import { backoff } from "./backoff.js";
import { Streams } from "./streams.js";

const subprotocol = "pollstream.v1";
const openTimeout = 10_000;
// The gateway's own pings are hidden from scripts: silence is broken by one of ours.
const checkPeriod = 5_000;
const silenceBeforePing = 20_000;
const silenceLimit = 30_000;
const wakePatience = 4_000;
const staleAfter = 5_000;
// A connection that lived so long was no failure.
const goodLife = 10_000;
// 1008 and 1013: the gateway has too much to do, or of us.
const politeFailures = 4;
const refusalsBeforeStreams = 3;
const secondTry = 60_000;   // of a WebSocket, while streams do

/**
 * One WebSocket for all polls, for as long as any is watched.
 *
 *     idle ──watch──▶ connecting ──first message──▶ live ──draining──▶ draining
 *                       ▲   │ closed, or 10 s         │ closed, silent   │ closed, or its delay
 *               backoff │   ▼                         ▼                  ▼ has passed
 *                       └─ reconnecting ──5 s──▶ stale      (and the next one is opened)
 *
 * Three openings in a row that were refused: event streams over HTTP (`sse`) while a WebSocket is tried
 * once a minute.
 */
export class Connection {
  status = { status: "idle", since: null };

  #socket = null;
  #token = null;        // that it was opened with
  #watched = new Set();
  #asked = new Map();   // ref → what waits for the answer
  #references = 0;
  #failures = 0;        // in a row
  #refusals = 0;        // openings among them that never opened
  #openedAt = null;
  #heardAt = null;
  #notBefore = 0;       // a draining gateway's delay
  #isDraining = false;
  #isClosed = false;
  #timers = {};

  /**
   * @param receive is called with every message
   * @param changed with every new status
   * @param hostKey gives that of a poll, if there is one
   */
  constructor({ base, environment, voter, hostKey, receive, changed }) {
    Object.assign(this, { base, environment, voter, hostKey, receive, changed });
    this.streams = new Streams({
      base, environment, voter, hostKey,
      receive: (message) => this.#receiveFromStream(message),
      ended: () => this.#streamsEnded(),
    });
  }

  watch(pollID) {
    this.#watched.add(pollID);
    if (this.#isOpen) this.#subscribe(pollID);
    else if (this.streams.isRunning) this.streams.watch(this.#watched);
    else if (!this.#socket && !this.#timers.open) this.#open();
  }

  unwatch(pollID) {
    this.#watched.delete(pollID);
    if (this.#isOpen) this.#send({ type: "unsubscribe", poll_ids: [pollID] });
    if (this.streams.isRunning) this.streams.watch(this.#watched);
    if (this.#watched.size === 0) this.#rest();
  }

  /**
   * Sends a message and waits for what answers it.
   * @returns null where there is no connection, or it went, or the time is over.
   */
  ask(message, timeout) {
    if (this.asksAs === undefined) return Promise.resolve(null);
    const ref = `c${this.#references += 1}`;
    return new Promise((resolve) => {
      const { setTimeout, clearTimeout } = this.environment;
      const settle = (answer) => {
        clearTimeout(timer);
        this.#asked.delete(ref);
        resolve(answer);
      };
      const timer = setTimeout(() => settle(null), timeout);
      this.#asked.set(ref, settle);
      this.#send({ ...message, ref });
    });
  }

  /** The token of whom a question is asked as, null for none; undefined while nothing can be asked. */
  get asksAs() { return this.status.status === "live" && this.#isOpen ? this.#token : undefined; }

  /** Another identity is shown with another handshake. */
  reopen() {
    if (!this.#socket && !this.streams.isRunning) return;
    this.streams.stop();
    this.#abandon();
    this.#open();
  }

  /** The network may be back, or the page was asleep. */
  wake() {
    const { now, random } = this.environment;
    if (this.#isOpen) {
      const askedAt = now();
      this.#send({ type: "ping" });
      this.#after("wake", wakePatience, () => { if (this.#heardAt < askedAt) this.#lose(); });
    } else if (this.#timers.open && now() >= this.#notBefore) {
      this.#after("open", random() * 1_000, () => this.#open());
    }
  }

  close() {
    this.#isClosed = true;
    this.#watched.clear();
    this.#rest();
  }

  // ---- The socket ----

  get #isOpen() { return this.#socket?.readyState === 1; }

  #open() {
    this.#stop("open");
    if (this.#isClosed || this.#watched.size === 0) return;
    if (this.status.status === "idle") this.#become("connecting");
    if (this.#refusals >= refusalsBeforeStreams) this.streams.watch(this.#watched);
    const protocols = [subprotocol];
    this.#token = this.voter.shown;
    if (this.#token) protocols.push(`bearer.${this.#token}`);
    let socket;
    try {
      socket = new this.environment.WebSocket(`${this.base.replace(/^http/, "ws")}/ws/`, protocols);
    } catch {
      this.#refusals += 1;
      return this.#again();
    }
    this.#socket = socket;
    this.#openedAt = null;
    this.#after("opening", openTimeout, () => this.#lose());
    socket.onopen = () => {
      this.#openedAt = this.#heardAt = this.environment.now();
      this.#refusals = 0;
      this.#stop("opening");
      this.#after("check", checkPeriod, () => this.#check());
      for (const pollID of this.#watched) this.#subscribe(pollID);
    };
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
    socket.onclose = ({ code }) => this.#lose(code);
  }

  #subscribe(pollID) {
    const message = { type: "subscribe", poll_ids: [pollID], ref: `s${pollID}` };
    const key = this.hostKey(pollID);
    this.#send(key ? { ...message, host_key: key } : message);
  }

  #send(message) { this.#socket.send(JSON.stringify(message)); }

  #receive(message) {
    this.#heardAt = this.environment.now();
    if (this.#isDraining) {
      // It stays what it is until the delay has passed.
    } else if (this.status.status !== "live") {
      this.streams.stop();
      this.#become("live");
    }
    switch (message.type) {
      case "pong": return;
      case "draining": return this.#drain(message.reconnect_in_ms);
      case "ack": case "error": {
        const settle = this.#asked.get(message.ref);
        if (settle) return settle(message);
        if (message.type === "error") this.#refused(message);
        return;
      }
      default: this.receive(message);
    }
  }

  /** A subscription that the gateway did not take. */
  #refused(error) {
    const pollID = Number(/^s(\d+)$/.exec(error.ref)?.[1]);
    if (!this.#watched.has(pollID)) return;
    if (["overloaded", "storage_unavailable", "draining", "rate_limited"].includes(error.code)) {
      const { random, setTimeout } = this.environment;
      setTimeout(() => { if (this.#isOpen && this.#watched.has(pollID)) this.#subscribe(pollID); },
        1_000 + backoff(2, random));
      return;
    }
    this.receive({ ...error, poll_id: pollID });
  }

  /** Every client is told another delay; the gateway closes when it has passed, if we do not. */
  #drain(delay) {
    this.#isDraining = true;
    this.#notBefore = this.environment.now() + delay;
    this.#become("draining");
    this.#after("drain", delay, () => this.#lose(1001));
  }

  #check() {
    const silence = this.environment.now() - this.#heardAt;
    if (silence >= silenceLimit) return this.#lose();
    if (silence >= silenceBeforePing) this.#send({ type: "ping" });
    this.#after("check", checkPeriod, () => this.#check());
  }

  /** The connection is gone, or as good as that. */
  #lose(code) {
    const now = this.environment.now();
    const wasOpen = this.#openedAt !== null;
    // Closed properly, it was up to date until then; silent, until it last spoke.
    const since = code === undefined ? this.#heardAt : now;
    if (!wasOpen) this.#refusals += 1;
    if (wasOpen && now - this.#openedAt >= goodLife) this.#failures = 0;
    if (code === 1008 || code === 1013) this.#failures = Math.max(this.#failures, politeFailures);
    this.#abandon();
    if (wasOpen && !this.streams.isLive) this.#becomeOld(since);
    this.#again();
  }

  #again() {
    if (this.#isClosed || this.#watched.size === 0) return;
    const { now, random } = this.environment;
    const wait = this.streams.isLive
      ? secondTry / 2 + random() * secondTry / 2
      : Math.max(this.#notBefore - now(), this.#notBefore > now() ? 0 : backoff(this.#failures, random));
    this.#failures += 1;
    this.#after("open", wait, () => this.#open());
  }

  /** Lets the socket go, whatever it still says. */
  #abandon() {
    const socket = this.#socket;
    this.#socket = null;
    this.#isDraining = false;
    for (const name of ["opening", "check", "wake", "drain"]) this.#stop(name);
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      try { socket.close(); } catch { /* it never opened */ }
    }
    for (const settle of [...this.#asked.values()]) settle(null);
  }

  #rest() {
    this.streams.stop();
    this.#abandon();
    for (const name of Object.keys(this.#timers)) this.#stop(name);
    this.#become("idle");
  }

  // ---- Streams ----

  #receiveFromStream(message) {
    if (this.#isOpen) return;
    if (message.type === "draining") return;   // it ends, and another begins
    this.#become("sse");
    this.receive(message);
  }

  #streamsEnded() {
    if (this.status.status !== "sse") return;
    this.#becomeOld(this.environment.now());
    if (!this.#socket) this.#again();
  }

  // ---- Status ----

  #becomeOld(since) {
    this.#become("reconnecting", since);
    this.#after("stale", staleAfter, () => this.#become("stale", since));
  }

  #become(status, since = null) {
    if (status !== "reconnecting") this.#stop("stale");
    if (this.status.status === status) return;
    this.status = { status, since };
    this.changed(this.status);
  }

  #after(name, delay, action) {
    this.#stop(name);
    this.#timers[name] = this.environment.setTimeout(() => {
      this.#timers[name] = null;
      action();
    }, delay);
  }

  #stop(name) {
    this.environment.clearTimeout(this.#timers[name]);
    this.#timers[name] = null;
  }
}
