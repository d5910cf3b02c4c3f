// Votes per second over the last few seconds, from totals and their times.
const windowMilliseconds = 4000;

export class VoteRate {
  #samples = [];

  add(total, now) {
    this.#samples.push({ total, now });
    this.#forget(now);
  }

  // The newest sample before the window stays: what came since counts from it.
  #forget(now) {
    const samples = this.#samples;
    while (samples.length > 1 && samples[1].now <= now - windowMilliseconds) samples.shift();
  }

  perSecond(now) {
    this.#forget(now);
    const samples = this.#samples;
    if (samples.length < 2) return 0;
    const last = samples[samples.length - 1];
    if (last.now <= now - windowMilliseconds) return 0;
    const span = Math.max(now - samples[0].now, 1000);
    return Math.max(0, (last.total - samples[0].total) * 1000 / Math.min(span, windowMilliseconds));
  }
}
