import { backoff } from "./backoff.js";

// Of these the gateway says that sending the same again is safe, and `offline` leaves open whether
// it was heard. Codes that are not HTTP's own are those of answers by something in between.
const mayRepeat = (error) => error.status === 0 || error.status === 429 || error.status >= 500;

// Refusals that another attempt would not change.
const finalCodes = ["already_voted", "poll_closed", "poll_not_open", "poll_not_found", "option_not_found",
  "invalid"];

const ackTimeout = 8_000;
const rememberedCount = 200;

/**
 * Ballots on their way. Each is sent until it is answered. What had no answer may be counted: it is sent
 * again as the voter it was sent as, who has one ballot in a poll, so that it counts once. (A cookie that
 * is gone by then is another voter, which no script can see.)
 *
 * A poll has one ballot on its way at a time, as a former choice that comes late would replace a later one
 * where votes may be changed. That holds for what we send, not for what a lost connection may still
 * deliver behind an answer that came another way: then the former choice is the one that counts.
 *
 *     vote ──▶ sending ──────────────────────────────▶ answered: counted, changed, refused …
 *                │  ▲                                      ▲
 *      no answer │  │ backoff, Retry-After, online again   │ a later vote: replaced
 *                ▼  │                                      │
 *               kept ──────────────────────────────────────┘
 */
export class Ballots {
  // poll id → { ballot, waiters, failures, timer, isSending, next, as, end }; `as` is the token that it
  // was sent with, null without one, undefined before it was sent
  #waiting = new Map();
  #isStopped = false;

  /**
   * @param connection sends over the WebSocket while there is one
   * @param hasCookie whether HTTP says by cookie who votes, as the WebSocket does
   * @param tell is called with each step of a ballot
   */
  constructor({ http, memory, environment, connection, voter, hasCookie, tell }) {
    Object.assign(this, { http, memory, environment, connection, voter, hasCookie, tell });
  }

  /** Those that a former page left unanswered, but for those that another tab sends while it is there. */
  resume() {
    for (const { poll_id } of Object.values(this.memory.get("kept") ?? {})) {
      this.#alone(poll_id, () => this.#resume(poll_id));
    }
  }

  #resume(pollID) {
    const kept = this.memory.get("kept")?.[pollID];
    if (!kept || this.#isStopped || this.#waiting.has(pollID)) return undefined;
    const { sent_as, ...ballot } = kept;
    return this.#begin(ballot, [], sent_as);
  }

  #alone(pollID, work) { return this.memory.alone(`ballot:${pollID}`, work); }

  cast(pollID, optionIDs, voter) {
    const ballot = { poll_id: pollID, option_ids: [...optionIDs] };
    if (voter) ballot.voter = voter;
    return new Promise((resolve) => {
      const entry = this.#waiting.get(pollID);
      if (!entry) return this.#cast(ballot, [resolve]);
      if (sameChoice(entry.next?.ballot ?? entry.ballot, ballot)) {
        (entry.next ?? entry).waiters.push(resolve);
        return this.#now(entry);
      }
      if (entry.next) this.#settle(entry.next, { status: "replaced" });
      entry.next = { ballot, waiters: [resolve] };
      this.#keep(entry);
      this.#now(entry);
    });
  }

  /** Tries all that are kept, as the network may be back. */
  retry() {
    for (const entry of this.#waiting.values()) this.#now(entry);
  }

  stop() {
    this.#isStopped = true;
    for (const { timer, end } of this.#waiting.values()) {
      this.environment.clearTimeout(timer);
      end();
    }
    this.#waiting.clear();
  }

  /**
   * At once, whatever other tabs do; it tells them not to resume it. A former choice that is kept may be
   * counted, so that this one goes as the same voter.
   */
  #cast(ballot, waiters) {
    const ended = this.#begin(ballot, waiters, this.memory.get("kept")?.[ballot.poll_id]?.sent_as);
    this.#alone(ballot.poll_id, () => ended);
  }

  /** @returns a promise for when it is answered, or we are stopped. */
  #begin(ballot, waiters, as) {
    const entry = { ballot, waiters, failures: 0, timer: null, isSending: false, next: null, as };
    const ended = new Promise((resolve) => { entry.end = resolve; });
    this.#waiting.set(ballot.poll_id, entry);
    this.#keep(entry);
    this.#send(entry);
    return ended;
  }

  #now(entry) {
    if (entry.isSending || entry.notBefore > this.environment.now()) return;
    this.environment.clearTimeout(entry.timer);
    this.#send(entry);
  }

  async #send(entry) {
    entry.isSending = true;
    this.#tell(entry, { status: "sending" });
    let outcome;
    try {
      outcome = await this.#attempt(entry);
    } catch (error) {
      if (mayRepeat(error)) return this.#postpone(entry, error);
      outcome = { status: error.code, message: error.message };
    }
    if (this.#waiting.get(entry.ballot.poll_id) !== entry) return;   // stopped meanwhile
    this.#waiting.delete(entry.ballot.poll_id);
    if (!entry.next) this.#forget(entry.ballot.poll_id);
    this.#remember(entry.ballot, outcome);
    this.#settle(entry, outcome);
    entry.end();
    if (entry.next) this.#cast(entry.next.ballot, entry.next.waiters);
  }

  /** Over the WebSocket first, which costs least, and over HTTP if that gave no answer. */
  async #attempt(entry) {
    const { ballot } = entry;
    const token = this.voter.tokenFor(entry);
    const isOneVoter = this.connection.asksAs === token && (token !== null || this.hasCookie);
    if (entry.failures === 0 && !ballot.voter && isOneVoter) {
      this.#sendAs(entry, token);
      const answer = await this.connection.ask({ type: "vote", ...ballot }, ackTimeout);
      if (answer?.type === "ack") return outcomeOf(answer);
      if (finalCodes.includes(answer?.code)) return { status: answer.code, message: answer.message };
    }
    if (ballot.voter) await this.#identify(entry);
    return outcomeOf(await this.voter.asVoter(entry, (token) => {
      this.#sendAs(entry, token);
      return this.http.json("POST", "/votes/", { body: ballot, token });
    }));
  }

  /** Written before it goes, as the page may be gone before the answer comes. */
  #sendAs(entry, token) {
    entry.as = token;
    this.#keep(entry);
  }

  /**
   * A name is an identity for who has no better one, and then two people of one name were one voter. An
   * empty ballot asks: who has no identity gets one, and for who has one it is no ballot.
   */
  async #identify(entry) {
    if (this.voter.isKnown) return;
    const body = { poll_id: entry.ballot.poll_id, option_ids: [] };
    try {
      await this.voter.asVoter(entry, (token) => this.http.json("POST", "/votes/", { body, token }));
    } catch (error) {
      if (mayRepeat(error)) throw error;
    }
    this.voter.isKnown = true;
  }

  #postpone(entry, error) {
    if (this.#waiting.get(entry.ballot.poll_id) !== entry) return;
    const { random, now, setTimeout } = this.environment;
    const wait = (error.retryAfter ?? 0) + backoff(entry.failures, random);
    entry.failures += 1;
    entry.isSending = false;
    // What the gateway asked for holds even when the network comes back in between.
    entry.notBefore = now() + (error.retryAfter ?? 0);
    entry.timer = setTimeout(() => this.#send(entry), wait);
    const status = error.status === 429 ? "rate_limited" : "kept";
    this.#tell(entry, { status, reason: error.code, message: error.message, retry_in_ms: wait });
    // Nothing of the former choice is on its way, so that the later one may go instead.
    if (entry.next) this.#replace(entry);
  }

  #replace(entry) {
    const { next } = entry;
    this.#settle(entry, { status: "replaced" });
    Object.assign(entry, { ballot: next.ballot, waiters: next.waiters, next: null });
  }

  #settle({ ballot, waiters }, outcome) {
    const whole = { poll_id: ballot.poll_id, option_ids: ballot.option_ids, ...outcome };
    for (const resolve of waiters) resolve(whole);
    this.tell(whole);
  }

  #tell({ ballot }, step) {
    this.tell({ poll_id: ballot.poll_id, option_ids: ballot.option_ids, ...step });
  }

  /** Writes what would be lost with the page. */
  #keep({ ballot, next, as }) {
    const latest = { ...(next?.ballot ?? ballot), sent_as: as };
    this.memory.set("kept", { ...this.memory.get("kept"), [ballot.poll_id]: latest });
  }

  #forget(pollID) {
    const { [pollID]: _, ...kept } = this.memory.get("kept") ?? {};
    this.memory.set("kept", kept);
  }

  #remember(ballot, outcome) {
    if (!["counted", "changed", "repeated"].includes(outcome.status)) return;
    const past = (this.memory.get("past") ?? []).filter(({ poll_id }) => poll_id !== ballot.poll_id);
    past.push({ poll_id: ballot.poll_id, option_ids: ballot.option_ids, ...outcome });
    this.memory.set("past", past.slice(-rememberedCount));
  }

  past(pollID) {
    return (this.memory.get("past") ?? []).find(({ poll_id }) => poll_id === pollID) ?? null;
  }
}

const sameChoice = (a, b) =>
  a.voter === b.voter && [...a.option_ids].sort().join() === [...b.option_ids].sort().join();

function outcomeOf({ status, repeated, option_ids, revision }) {
  return { status: repeated ? "repeated" : status, option_ids, revision };
}
