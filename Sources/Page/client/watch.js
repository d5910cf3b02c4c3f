import { PollStreamError } from "./http.js";

/**
 * One poll as far as it is known, and who wants to hear of it. A lower revision is never told after a
 * higher one, whatever way and in whatever order messages come. Between two frames only the newest of
 * each kind is kept: a tally is whole, so that nothing is lost with those before it.
 */
export class Watch {
  #poll = null;
  #viewers = null;
  #handlers = new Set();
  #news = {};
  #isDue = false;

  constructor(handlers, onFrame) {
    this.#handlers.add(handlers);
    this.onFrame = onFrame;
  }

  get isWanted() { return this.#handlers.size > 0; }

  /** Who comes later hears at once what is known. */
  add(handlers) {
    if (this.#poll) {
      const poll = this.#poll;
      const viewers = this.#viewers;
      this.onFrame(() => {
        if (!this.#handlers.has(handlers) || poll !== this.#poll) return;
        handlers.onSnapshot?.(poll);
        if (viewers !== null) handlers.onViewers?.(viewers);
        handlers.onPoll?.(poll);
      });
    }
    this.#handlers.add(handlers);
  }

  remove(handlers) { this.#handlers.delete(handlers); }

  take(message) {
    switch (message.type) {
      case "snapshot": this.#takeSnapshot(message.poll); break;
      case "tally": this.#takeTally(message); break;
      case "state": this.#takeState(message); break;
      case "viewers": this.#viewers = this.#news.viewers = message.viewers; break;
      case "error": this.#news.error = new PollStreamError(message.code, message.message); break;
      default: return;
    }
    if (this.#isDue) return;
    this.#isDue = true;
    this.onFrame(() => this.#tell());
  }

  #isOld(revision) { return this.#poll !== null && revision < this.#poll.revision; }

  #takeSnapshot(poll) {
    if (this.#isOld(poll.revision)) return;
    this.#poll = poll;
    this.#news = { viewers: this.#news.viewers, snapshot: poll, poll };
  }

  #takeTally({ poll_id, revision, total, counts, at }) {
    if (!this.#poll || this.#isOld(revision)) return;
    const options = this.#poll.options.map((option, index) => ({ ...option, vote_count: counts[index] }));
    this.#poll = { ...this.#poll, revision, total_votes: total, options };
    this.#news.tally = { poll_id, revision, total, counts, at };
    this.#news.poll = this.#poll;
  }

  #takeState({ poll_id, revision, state }) {
    if (!this.#poll || this.#isOld(revision)) return;
    this.#poll = { ...this.#poll, revision, state, is_active: state === "open" };
    this.#news.state = { poll_id, revision, state };
    this.#news.poll = this.#poll;
  }

  #tell() {
    const { snapshot, tally, state, viewers, poll, error } = this.#news;
    this.#news = {};
    this.#isDue = false;
    for (const handlers of [...this.#handlers]) {
      if (snapshot) handlers.onSnapshot?.(snapshot);
      if (tally) handlers.onTally?.(tally);
      if (state) handlers.onState?.(state);
      if (viewers !== undefined) handlers.onViewers?.(viewers);
      if (poll) handlers.onPoll?.(poll);
      if (error) handlers.onError?.(error);
    }
  }
}
