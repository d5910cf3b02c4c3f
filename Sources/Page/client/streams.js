// Browsers open six connections to one host, for all tabs: some must be left for votes.
const streamCount = 3;
const silenceLimit = 60_000;   // the gateway sends a comment every 25 s
const readPeriod = 3_000;

/**
 * Polls without a WebSocket: a stream of Server-Sent Events for each of the first three, and for the
 * others one read after another. By `fetch`, since an EventSource shows neither token nor host key.
 */
export class Streams {
  #streams = new Map();   // poll id → its AbortController
  #others = [];
  #timer = null;
  #live = new Set();

  constructor({ base, environment, voter, hostKey, receive, ended }) {
    Object.assign(this, { base, environment, voter, hostKey, receive, ended });
  }

  get isRunning() { return this.#streams.size > 0; }

  /** Whether any has brought something and still runs. */
  get isLive() { return this.#live.size > 0; }

  watch(pollIDs) {
    const wanted = [...pollIDs];
    for (const [id, abort] of this.#streams) if (!wanted.includes(id)) abort.abort();
    for (const id of wanted) {
      if (this.#streams.size < streamCount && !this.#streams.has(id)) this.#stream(id);
    }
    this.#others = wanted.filter((id) => !this.#streams.has(id));
    if (this.#others.length && !this.#timer) this.#readNext();
  }

  stop() {
    this.environment.clearTimeout(this.#timer);
    this.#timer = null;
    this.#others = [];
    for (const abort of this.#streams.values()) abort.abort();
    this.#streams.clear();
    this.#live.clear();
  }

  async #stream(id) {
    const { fetch, setTimeout, clearTimeout } = this.environment;
    const abort = new AbortController();
    this.#streams.set(id, abort);
    let timer;
    const heard = () => {
      clearTimeout(timer);
      timer = setTimeout(() => abort.abort(), silenceLimit);
    };
    heard();
    try {
      const token = this.voter.shown;
      const answer = await fetch(`${this.base}/polls/${id}/events/`, {
        headers: this.#headers(id, token, "text/event-stream"), signal: abort.signal,
      });
      if (answer.ok) {
        this.#live.add(id);
        for await (const message of messages(answer.body, heard)) this.receive(message);
      } else {
        await this.#refused(id, token, answer);
      }
    } catch { /* it ends as any other does */ }
    clearTimeout(timer);
    if (this.#streams.get(id) !== abort) return;   // stopped
    this.#streams.delete(id);
    this.#live.delete(id);
    if (!this.isLive) this.ended();
  }

  async #readNext() {
    const id = this.#others.shift();
    if (id === undefined) return;
    this.#others.push(id);
    this.#timer = this.environment.setTimeout(() => this.#readNext(), readPeriod);
    const token = this.voter.shown;
    try {
      const answer = await this.environment.fetch(`${this.base}/polls/${id}/`, {
        headers: this.#headers(id, token, "application/json"),
      });
      if (answer.ok) this.receive({ type: "snapshot", poll: await answer.json() });
      else await this.#refused(id, token, answer);
    } catch { /* the next read may do */ }
  }

  async #refused(id, token, answer) {
    const { error } = await answer.json();
    if (error.code === "unauthorized" && !this.hostKey(id)) this.voter.refuse(token);
    if (answer.status === 404) this.receive({ type: "error", poll_id: id, ...error });
  }

  #headers(id, token, accept) {
    const bearer = this.hostKey(id) ?? token;
    return bearer ? { Accept: accept, Authorization: `Bearer ${bearer}` } : { Accept: accept };
  }
}

/** The messages of an event stream (HTML §9.2), each of which we write as one line of `data`. */
export async function* messages(body, heard = () => {}) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    heard();
    text += decoder.decode(value, { stream: true });
    const events = text.split("\n\n");
    text = events.pop();
    for (const event of events) {
      const data = event.split("\n").find((line) => line.startsWith("data: "));
      if (data) yield JSON.parse(data.slice(6));
    }
  }
}
