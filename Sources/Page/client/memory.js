/** What outlives the page, as JSON. Without storage, or where it is full or forbidden, the page's own life. */
export class Memory {
  #storage;
  #prefix;
  #values = new Map();

  /** @param base the gateway's URL: a page may talk to several. */
  constructor(storage, base) {
    this.#storage = storage;
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
}
