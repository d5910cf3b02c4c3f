/** What the gateway refused, or `code: "offline"` where it cannot be reached. */
export class PollStreamError extends Error {
  constructor(code, message, status = 0, more = {}) {
    super(message);
    this.name = "PollStreamError";
    Object.assign(this, { code, status, ...more });
  }
}

const answerTimeout = 15_000;

/** Calls of the HTTP API. */
export class HTTP {
  constructor(base, environment) {
    this.base = base;
    this.environment = environment;
  }

  /**
   * Throws a PollStreamError for everything but success.
   * @returns {Promise<Response>}
   */
  async call(method, path, { body, token, accept = "application/json" } = {}) {
    const headers = { Accept: accept };
    if (body) headers["Content-Type"] = "application/json";
    if (token) headers.Authorization = `Bearer ${token}`;
    const { setTimeout, clearTimeout, fetch } = this.environment;
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), answerTimeout);
    let answer;
    let refusal;
    try {
      answer = await fetch(this.base + path, {
        method, headers, body: body && JSON.stringify(body), signal: abort.signal,
      });
      if (answer.ok) return answer;
      refusal = await answer.json().catch(() => ({}));
    } catch {
      throw new PollStreamError("offline", "The gateway cannot be reached.");
    } finally {
      clearTimeout(timer);
    }
    const { code = `http_${answer.status}`, message, field } = refusal.error ?? {};
    throw new PollStreamError(code, message ?? `The gateway answered ${answer.status}.`, answer.status, {
      field,
      retryAfter: 1000 * Number(answer.headers.get("Retry-After")) || undefined,
      voterToken: refusal.voter_token,
    });
  }

  async json(method, path, options) {
    const answer = await this.call(method, path, options);
    return answer.status === 204 ? undefined : answer.json();
  }
}

/** Polls over HTTP, for viewers and hosts. */
export function pollCalls(http, client) {
  const path = (id, rest = "") => `/polls/${id}/${rest}`;
  // The host sees everything; anybody else what the voter may see.
  const token = (id) => client.hostKeys[id] ?? client.voterToken;
  const call = (method, rest, body) => (id) =>
    http.json(method, path(id, rest), { body, token: token(id) });
  const csv = async (id, rest) => {
    const answer = await http.call("GET", path(id, rest), { token: token(id), accept: "text/csv" });
    return answer.blob();
  };
  return {
    list: (filter = {}) => http.json("GET", `/polls/?${new URLSearchParams(filter)}`),
    read: call("GET", ""),
    find: (code) => http.json("GET", `/join/${encodeURIComponent(code)}`, { token: client.voterToken }),
    results: call("GET", "results/"),
    resultsCSV: (id) => csv(id, "results/"),
    async create(draft, { adminKey } = {}) {
      const poll = await http.json("POST", "/polls/", { body: draft, token: adminKey });
      client.hostKeys[poll.id] = poll.host_key;
      return poll;
    },
    update: (id, changes) => call("PATCH", "", changes)(id),
    open: call("POST", "open/"),
    close: call("POST", "close/"),
    delete: call("DELETE", ""),
    ballotsCSV: (id) => csv(id, "ballots/"),
    audit: call("GET", "audit/"),
  };
}
