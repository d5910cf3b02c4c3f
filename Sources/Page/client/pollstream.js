/*! PollStream client, Apache-2.0: subscribe to polls and vote, over a WebSocket where there is one. */
import { Ballots } from "./ballots.js";
import { Connection } from "./connection.js";
import { HTTP, PollStreamError, pollCalls } from "./http.js";
import { Memory } from "./memory.js";
import { Voter } from "./voter.js";
import { Watch } from "./watch.js";

export { PollStreamError };

/** Polls of one gateway; see pollstream.d.ts for what each member takes and gives. */
export class PollStream {
  #watches = new Map();   // poll id → Watch
  #handlers = { connection: new Set(), ballot: new Set() };
  #memory;
  #voter;
  #connection;
  #ballots;
  #stopListening;

  constructor(baseURL = globalThis.location?.origin, options = {}) {
    const base = String(baseURL).replace(/\/+$/, "");
    const environment = environmentWith(options);
    this.hostKeys = options.hostKeys ?? {};
    this.#memory = new Memory(environment.storage, base, environment.locks);
    this.#voter = new Voter(this.#memory, () => this.#connection?.reopen());
    if (options.voterToken) this.#voter.token = options.voterToken;
    const http = new HTTP(base, environment);
    this.environment = environment;
    this.#connection = new Connection({
      base, environment,
      voter: this.#voter,
      hostKey: (id) => this.hostKeys[id],
      receive: (message) => this.#receive(message),
      changed: (status) => {
        this.#emit("connection", status);
        if (status.status === "live") this.#ballots.retry();
      },
    });
    this.#ballots = new Ballots({
      http, environment,
      // What a page of another origin calls over HTTP goes without its cookie, and its WebSocket with it.
      hasCookie: base === globalThis.location?.origin,
      memory: this.#memory, connection: this.#connection, voter: this.#voter,
      tell: (outcome) => this.#emit("ballot", outcome),
    });
    this.polls = pollCalls(http, this);
    this.#stopListening = this.#listen();
    // After whoever made this has had time to listen.
    environment.setTimeout(() => this.#ballots.resume(), 0);
  }

  get voterToken() { return this.#voter.token; }

  set voterToken(token) { this.#voter.token = token ?? null; }

  get connection() { return this.#connection.status; }

  subscribe(pollID, handlers) {
    let watch = this.#watches.get(pollID);
    if (watch) {
      watch.add(handlers);
    } else {
      watch = new Watch(handlers, this.environment.onFrame);
      this.#watches.set(pollID, watch);
      this.#connection.watch(pollID);
    }
    return () => {
      watch.remove(handlers);
      if (!watch.isWanted && this.#watches.get(pollID) === watch) this.#unwatch(pollID);
    };
  }

  vote(pollID, optionIDs, { voter } = {}) {
    return this.#ballots.cast(pollID, optionIDs, voter);
  }

  ballot(pollID) { return this.#ballots.past(pollID); }

  on(event, handler) {
    this.#handlers[event].add(handler);
    return () => this.#handlers[event].delete(handler);
  }

  close() {
    this.#stopListening();
    this.#ballots.stop();
    this.#watches.clear();
    this.#connection.close();
  }

  #receive(message) {
    const pollID = message.poll_id ?? message.poll?.id;
    const watch = this.#watches.get(pollID);
    if (!watch) return;
    watch.take(message);
    const isOver = message.type === "error" || message.state === "deleted";
    if (isOver) this.#unwatch(pollID);
  }

  #unwatch(pollID) {
    this.#watches.delete(pollID);
    this.#connection.unwatch(pollID);
  }

  #emit(event, value) {
    for (const handler of [...this.#handlers[event]]) handler(value);
  }

  /** To what a page hears when the network is back, or it itself. */
  #listen() {
    const { document, addEventListener, removeEventListener } = globalThis;
    if (!addEventListener || !document) return () => {};
    const wake = () => {
      if (document.hidden) return;
      this.#connection.wake();
      this.#ballots.retry();
    };
    const events = ["online", "pageshow", "visibilitychange"];
    for (const event of events) addEventListener(event, wake);
    return () => { for (const event of events) removeEventListener(event, wake); };
  }
}

/** What the client needs of the world; tests give another. */
function environmentWith(options) {
  const given = { ...options, ...options.environment };
  let storage = given.storage;
  if (storage === undefined) {
    try { storage = globalThis.localStorage; } catch { /* forbidden in this frame */ }
  }
  return {
    WebSocket: given.WebSocket ?? globalThis.WebSocket,
    fetch: given.fetch ?? ((...call) => globalThis.fetch(...call)),
    setTimeout: given.setTimeout ?? ((...call) => globalThis.setTimeout(...call)),
    clearTimeout: given.clearTimeout ?? ((timer) => globalThis.clearTimeout(timer)),
    now: given.now ?? Date.now,
    random: given.random ?? Math.random,
    onFrame: given.onFrame ?? (options.perFrame === false ? (draw) => draw() : onFrame),
    storage,
    locks: given.locks ?? globalThis.navigator?.locks,
  };
}

/** A hidden page has no frames. */
function onFrame(draw) {
  if (globalThis.requestAnimationFrame && !globalThis.document?.hidden) requestAnimationFrame(draw);
  else setTimeout(draw, 100);
}
