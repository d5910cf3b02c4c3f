/**
 * Exponential backoff with full jitter: anything between nothing and the bound, so that those whom one
 * moment cut off do not all come back in another.
 * @param {number} failures in a row, 0 for the first
 * @param {() => number} random from 0 to 1
 * @returns milliseconds
 */
export function backoff(failures, random, base = 500, limit = 30_000) {
  return random() * Math.min(limit, base * 2 ** Math.min(failures, 16));
}
