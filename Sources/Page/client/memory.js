/** What outlives the page, as JSON. Without storage, or where it is full or forbidden, the page's own life. */
export class Memory {
  #storage;
  #locks;
  #prefix;
  #values = new Map();

  /**
   * @param base the gateway's URL: a page may talk to several.
   * @param locks Web Locks, which only pages over TLS and of this machine have
   */
  constructor(storage, base, locks) {
    this.#storage = storage;
    this.#locks = storage ? locks : null;
    this.#prefix = `pollstream:${base}:`;
  }

  /** Read each time, as another tab may have written. */
  get(name) {
    try {
      const text = this.#storage?.getItem(this.#prefix + name);
      if (text) return JSON.parse(text);
    } catch { /* as if there were none */ }
    return this.#values.get(name) ?? null;
  }

  set(name, value) {
    this.#values.set(name, value);
    try {
      this.#storage?.setItem(this.#prefix + name, JSON.stringify(value));
    } catch { /* it lives as long as the page */ }
  }

  /** Does `work` while no other tab does what has this name; without locks tabs know nothing of each other. */
  async alone(name, work) {
    let isBegun = false;
    const begin = () => { isBegun = true; return work(); };
    if (!this.#locks) return work();
    try {
      return await this.#locks.request(this.#prefix + name, begin);
    } catch (error) {
      if (isBegun) throw error;
      return work();   // locks are forbidden in this frame
    }
  }
}
