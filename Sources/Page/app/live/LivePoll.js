// One poll as it is now, kept up to date by the gateway for as long as somebody looks at it. The
// client calls at most once a frame, and never with an older poll after a newer one.
import { client } from "../gateway.js";
import { VoteRate } from "./VoteRate.js";

const rateMilliseconds = 1000;

export class LivePoll {
  #id;
  #current = { poll: null, viewers: null, votesPerSecond: 0, error: null };
  #listeners = new Set();
  #unsubscribe = null;
  #rate = null;
  #rateTimer = null;

  constructor(id) { this.#id = id; }

  current = () => this.#current;

  listen = (listener) => {
    this.#listeners.add(listener);
    if (this.#listeners.size === 1) this.#start();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#stop();
    };
  };

  #start() {
    this.#rate = new VoteRate();
    this.#unsubscribe = client.subscribe(this.#id, {
      onPoll: (poll) => {
        if (poll.state === "deleted") return this.#change({ error: "deleted" });
        if (poll.total_votes !== null) this.#rate.add(poll.total_votes, performance.now());
        return this.#change({ poll, error: null });
      },
      onViewers: (viewers) => this.#change({ viewers }),
      onError: (error) => this.#change({ error: error.code }),
    });
    this.#rateTimer = setInterval(() => this.#measureRate(), rateMilliseconds);
  }

  // Who comes back sees the last known counts until the snapshot, not an empty page.
  #stop() {
    this.#unsubscribe();
    clearInterval(this.#rateTimer);
    this.#current = { ...this.#current, viewers: null, votesPerSecond: 0 };
  }

  // By a clock of its own: it falls back to nothing when no more votes come.
  #measureRate() {
    const votesPerSecond = Math.round(this.#rate.perSecond(performance.now()));
    if (votesPerSecond !== this.#current.votesPerSecond) this.#change({ votesPerSecond });
  }

  #change(members) {
    this.#current = { ...this.#current, ...members };
    for (const listener of this.#listeners) listener();
  }
}
