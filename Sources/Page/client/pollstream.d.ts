/** Types of `/client/pollstream.js`, the client of a PollStream gateway. */

export type PollState = "scheduled" | "open" | "closed";
export type Results = "live" | "after_vote" | "after_close";

export interface Option {
  id: number;
  text: string;
  /** null where the results are hidden. */
  vote_count: number | null;
}

export interface Poll {
  id: number;
  title: string;
  description: string;
  creator_name: string;
  kind: "single" | "multiple";
  max_choices: number;
  results: Results;
  change_vote: boolean;
  /** Present and true where voters are asked for a name. */
  ask_name?: boolean;
  /** "deleted" comes with the last message of a poll. */
  state: PollState | "deleted";
  is_active: boolean;
  created_at: string;
  starts_at: string | null;
  end_time: string | null;
  closed_at: string | null;
  join_code: string;
  revision: number;
  /** Ballots, not marks; null where the results are hidden. */
  total_votes: number | null;
  options: Option[];
}

export interface Tally {
  poll_id: number;
  revision: number;
  total: number;
  /** In the order of the poll's options. */
  counts: number[];
  /** Unix milliseconds: when the oldest ballot of the commit arrived. */
  at: number;
}

export interface StateChange {
  poll_id: number;
  revision: number;
  state: "open" | "closed" | "deleted";
}

export interface Draft {
  title: string;
  description?: string;
  creator_name?: string;
  options: (string | { text: string })[];
  kind?: "single" | "multiple";
  max_choices?: number;
  starts_at?: string;
  end_time?: string;
  results?: Results;
  change_vote?: boolean;
  ask_name?: boolean;
}

export interface Changes {
  title?: string;
  description?: string;
  end_time?: string | null;
  results?: Results;
  ask_name?: boolean;
  options?: (string | { text: string })[];
}

export interface PollList {
  count: number;
  next: string | null;
  previous: string | null;
  results: Poll[];
}

export interface ResultsOfPoll {
  poll_id: number;
  revision: number;
  state: PollState;
  total: number | null;
  counts: number[] | null;
  options: Option[];
}

/** Each is called at most once a frame, with the newest. Nothing of a lower revision follows a higher one. */
export interface Handlers {
  /** After any change: the poll with everything that is known of it by now. A new object each time. */
  onPoll?(poll: Poll): void;
  onSnapshot?(poll: Poll): void;
  onTally?(tally: Tally): void;
  onState?(change: StateChange): void;
  onViewers?(viewers: number): void;
  /** The subscription has ended: no such poll, or too many. */
  onError?(error: PollStreamError): void;
}

export interface ConnectionStatus {
  /**
   * - `idle`: nothing is subscribed.
   * - `connecting`: for the first time.
   * - `live`: over a WebSocket.
   * - `draining`: live, on a gateway that is about to stop; another connection follows by itself.
   * - `sse`: live, without a WebSocket, which is tried again now and then.
   * - `reconnecting`: what is shown may be old.
   * - `stale`: the same for more than some seconds.
   */
  status: "idle" | "connecting" | "live" | "draining" | "sse" | "reconnecting" | "stale";
  /** Until when what is shown was surely up to date, Unix milliseconds; null while it is, or never was. */
  since: number | null;
}

export interface BallotOutcome {
  /**
   * Final: `counted`, `changed` (from another choice), `repeated` (was counted before, counts once),
   * `already_voted`, `poll_closed`, `poll_not_open`, `replaced` (by a later `vote` of the same poll),
   * `unauthorized`, or another code of the API's errors, such as `option_not_found` and `invalid`.
   *
   * `unauthorized`: the voter's token is not valid any more, as a JWT that has expired, and the ballot
   * is not sent as anybody else. A former attempt may have been counted. Set `voterToken` to a fresh one
   * of the same subject and vote again: then it counts once.
   *
   * In the event `ballot` alone: `sending`, `kept` (unanswered; is sent again by itself) and
   * `rate_limited` (kept as well).
   */
  status: string;
  poll_id: number;
  option_ids: number[];
  revision?: number;
  /** Of a refusal: one sentence for people. */
  message?: string;
  /** Of what is kept: why, as the gateway's code, or `offline`. */
  reason?: string;
  /** Of what is kept: when it is sent again, in milliseconds from now. */
  retry_in_ms?: number;
}

/** What the gateway refused, or `code: "offline"` where it cannot be reached. */
export class PollStreamError extends Error {
  code: string;
  /** HTTP; 0 where there was no answer. */
  status: number;
  /** The member that is wrong. */
  field?: string;
  /** Milliseconds. */
  retryAfter?: number;
}

export interface ClientOptions {
  /**
   * Who votes: a JWT, where the gateway has `--jwt-key`, or `psv_…`, for pages that no cookie reaches. One
   * of the latter is obtained with the first vote where it is needed.
   */
  voterToken?: string;
  /** By poll id. Polls that are created through this client add theirs. */
  hostKeys?: Record<number, string>;
  /** Keeps the voter token, unanswered ballots and past choices; `localStorage` unless told otherwise. */
  storage?: Pick<Storage, "getItem" | "setItem"> | null;
  /** false calls handlers at once with each message, not once a frame. */
  perFrame?: boolean;
  /** In place of the global ones. */
  WebSocket?: typeof WebSocket;
  fetch?: typeof fetch;
}

export interface Polls {
  /** Newest first. */
  list(filter?: { state?: PollState | "all"; page?: number; page_size?: number }): Promise<PollList>;
  read(id: number): Promise<Poll>;
  /** By its join code. */
  find(code: string): Promise<Poll>;
  results(id: number): Promise<ResultsOfPoll>;
  resultsCSV(id: number): Promise<Blob>;
  /** `adminKey`: where the gateway lets nobody else create polls. */
  create(draft: Draft, options?: { adminKey?: string | null }): Promise<Poll & { host_key: string }>;
  // With the poll's host key:
  update(id: number, changes: Changes): Promise<Poll>;
  open(id: number): Promise<Poll>;
  close(id: number): Promise<Poll>;
  delete(id: number): Promise<void>;
  /** Every ballot. */
  ballotsCSV(id: number): Promise<Blob>;
  audit(id: number): Promise<{ consistent: boolean; [member: string]: unknown }>;
}

export class PollStream {
  /** @param baseURL where the gateway is; the page's own origin where it is left out. */
  constructor(baseURL?: string, options?: ClientOptions);

  /** Changes take effect with the next call or subscription. */
  readonly hostKeys: Record<number, string>;
  /**
   * Set it when a JWT is renewed, and to null for whom the cookie names. Ballots that had no answer stay
   * with the voter they were sent as.
   */
  voterToken: string | null;
  readonly connection: ConnectionStatus;
  readonly polls: Polls;

  /** One WebSocket carries all subscriptions. The returned function ends this one. */
  subscribe(pollID: number, handlers: Handlers): () => void;

  /**
   * Casts a ballot, again and again until it is answered, and as nobody but the voter it was first sent
   * as, so that it counts once. Resolves with the final outcome; rejects never. What happens meanwhile is
   * told by the event `ballot`. Unanswered ballots outlive the page in `storage`.
   */
  vote(pollID: number, optionIDs: number[], options?: { voter?: string }): Promise<BallotOutcome>;

  /** The last ballot for a poll that this browser knows of. */
  ballot(pollID: number): BallotOutcome | null;

  on(event: "connection", handler: (status: ConnectionStatus) => void): () => void;
  /** Every step of every ballot, also of those that a former page left unanswered. */
  on(event: "ballot", handler: (outcome: BallotOutcome) => void): () => void;

  /** Ends the connection for good; unanswered ballots stay in `storage`. */
  close(): void;
}
