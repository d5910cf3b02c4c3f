// The keys of polls that were created here, or imported: who holds a poll's key hosts it.
// They are stored in this browser alone; the gateway keeps only their hashes.
import { useSyncExternalStore } from "react";
import { recall, remember } from "../storage.js";

const place = "hosted";
let entries = recall(place, []);
const byPoll = Object.fromEntries(entries.map((entry) => [entry.id, entry.host_key]));
const listeners = new Set();

function keep(changed) {
  entries = changed.sort((a, b) => b.id - a.id);
  for (const id of Object.keys(byPoll)) delete byPoll[id];
  for (const entry of entries) byPoll[entry.id] = entry.host_key;
  remember(place, entries);
  for (const listener of listeners) listener();
}

// Another tab may have created a poll meanwhile.
window.addEventListener("storage", (event) => {
  if (event.key === `pollstream.${place}`) keep(recall(place, []));
});

const isEntry = (entry) =>
  Number.isSafeInteger(entry?.id) && entry.id > 0 &&
  typeof entry.host_key === "string" && entry.host_key.startsWith("psh_");

export const hostKeys = {
  // `{id: key}`, the same object for as long as the page lives: the client looks into it.
  byPoll,
  of: (id) => byPoll[id] ?? null,
  // `{id, host_key, title}`, newest poll first.
  all: () => entries,

  add({ id, host_key, title }) {
    keep([...entries.filter((entry) => entry.id !== id), { id, host_key, title }]);
  },

  remove(id) {
    keep(entries.filter((entry) => entry.id !== id));
  },

  // The text of a file that `importFrom` reads.
  exported() {
    return JSON.stringify({ pollstream_host_keys: entries, gateway: location.origin }, null, 2);
  },

  // How many keys `text` brought that were not here; throws where it is no such file.
  importFrom(text) {
    const found = JSON.parse(text).pollstream_host_keys;
    if (!Array.isArray(found) || !found.every(isEntry)) throw new Error("not a file of host keys");
    const fresh = found.filter((entry) => byPoll[entry.id] !== entry.host_key);
    const replaced = new Set(fresh.map((entry) => entry.id));
    keep([
      ...entries.filter((entry) => !replaced.has(entry.id)),
      ...fresh.map(({ id, host_key, title }) => ({ id, host_key, title: String(title ?? "") })),
    ]);
    return fresh.length;
  },
};

function listen(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export const useHostKeys = () => useSyncExternalStore(listen, hostKeys.all);
