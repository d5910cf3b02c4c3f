const attemptCount = 3;

/**
 * Who votes here. Usually a cookie says it, which no script sees. Where none travels, as in another
 * site's frame, the gateway gives a token with its refusal, and that is kept and sent from then on.
 */
export class Voter {
  /** Whether the gateway has taken us for somebody. */
  isKnown = false;

  /** @param changed is called with a new token. */
  constructor(memory, changed) {
    this.memory = memory;
    this.changed = changed;
  }

  get token() { return this.memory.get("voter"); }

  set token(token) {
    if (token === this.token) return;
    this.memory.set("voter", token);
    this.changed();
  }

  /** Sends, and once more where that needed an identity or had one that the gateway does not know. */
  async asVoter(send) {
    for (let attempt = 1; ; attempt += 1) {
      const { token } = this;
      try {
        const answer = await send(token);
        this.isKnown = true;
        return answer;
      } catch (error) {
        if (error.status !== 401 || attempt === attemptCount) throw error;
        if (error.voterToken) this.token = error.voterToken;
        else if (token) this.token = null;
        else throw error;
      }
    }
  }
}
