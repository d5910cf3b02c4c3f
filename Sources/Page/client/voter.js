import { PollStreamError } from "./http.js";

const attemptCount = 3;

/**
 * Who votes here. Usually a cookie says it, which no script sees. Where none travels, as in another
 * site's frame, the gateway gives a token with its refusal, and that is kept and sent from then on. Or
 * the page brings one, of the gateway or a JWT.
 */
export class Voter {
  /** Whether the gateway has taken us, as we are, for somebody. */
  isKnown = false;

  #refused = null;   // the page's own token, when it is not valid any more
  #turn = null;

  /** @param changed is called when another token, or none, is to be shown. */
  constructor(memory, changed) {
    this.memory = memory;
    this.changed = changed;
  }

  get token() { return this.memory.get("voter"); }

  set token(token) {
    if (token === this.token) return;
    this.memory.set("voter", token);
    this.isKnown = false;
    this.changed();
  }

  /** For those who read: they may do without, and would get nothing with one that is refused. */
  get shown() { return this.token === this.#refused ? null : this.token; }

  /** What says who `sent` went as; who we are now, where it went as nobody yet. */
  tokenFor({ as }) {
    const { token } = this;
    return as === undefined || areOfOneVoter(as, token) ? token : as;
  }

  /**
   * The gateway does not know this token, or not any more. One of the gateway's gives way to another.
   * What is not the gateway's stays until the page brings another, since without it a cookie would vote.
   */
  refuse(token) {
    if (token === null || token !== this.token || token === this.#refused) return;
    if (token.startsWith("psv_")) {
      this.token = null;
    } else {
      this.#refused = token;
      this.changed();
    }
  }

  /**
   * Sends, and again where that needed an identity, or a token of the gateway's that is known to it.
   * @param sent `as` is the token that an attempt without an answer had, null if it had none, undefined
   *   before the first. What may have been counted is never sent as another voter.
   * @param send is called with the token to send
   */
  async asVoter(sent, send) {
    for (let attempt = 1; ; attempt += 1) {
      const answer = await this.#inTurn(sent, () => this.#attempt(sent, send, attempt === attemptCount));
      if (answer) return answer;
    }
  }

  /** @returns nothing where it is refused, and may be sent again otherwise. */
  async #attempt(sent, send, isLast) {
    const former = sent.as;
    const token = this.tokenFor(sent);
    try {
      const answer = await send(token);
      if (token === this.token) this.isKnown = true;
      return answer;
    } catch (error) {
      if (error.status !== 401) throw error;
      if (token !== null) this.refuse(token);
      // Another request, or another tab, may have been given one meanwhile: we are one voter.
      else if (this.token === null && error.voterToken) this.token = error.voterToken;
      // Without a token it went as nobody, whose ballots are not counted.
      sent.as = token === null ? undefined : former;
      if (!isLast && this.tokenFor(sent) !== token) return undefined;
      if (token === null) throw error;
      throw new PollStreamError("unauthorized",
        "The voter's token is not valid any more, and the ballot was not sent without it.", 401);
    }
  }

  /** While we may be nobody one request at a time, of all tabs: each would be made somebody else. */
  async #inTurn(sent, work) {
    const isSomebody = () => this.isKnown || this.tokenFor(sent) !== null;
    while (this.#turn && !isSomebody()) await this.#turn;
    if (isSomebody()) return work();
    const turn = this.memory.alone("voter", work);
    const over = () => { this.#turn = null; };
    this.#turn = turn.then(over, over);
    return turn;
  }
}

/** Whether these are JWTs of one subject, as they are when a page renews them. */
function areOfOneVoter(a, b) {
  const subject = subjectOf(a);
  return subject !== undefined && subject === subjectOf(b);
}

function subjectOf(token) {
  try {
    const claims = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    return JSON.parse(atob(claims)).sub;
  } catch {
    return undefined;
  }
}
