// Which screen the address names, and going from one to another without a new document.
import { useSyncExternalStore } from "react";

const routes = [
  [/^\/$/, "join"],
  [/^\/p\/(\d+)$/, "poll"],
  [/^\/p\/(\d+)\/present$/, "present"],
  [/^\/host$/, "host"],
  [/^\/host\/(\d+)$/, "hosted"],
  [/^\/embed\/(\d+)$/, "embed"],
];

// `{screen, id, query}` of an address such as `/p/7?x=1`.
export function parseRoute(path, search = "") {
  for (const [pattern, screen] of routes) {
    const match = pattern.exec(path.length > 1 ? path.replace(/\/$/, "") : path);
    if (match) {
      return { screen, id: match[1] ? Number(match[1]) : null, query: new URLSearchParams(search) };
    }
  }
  return { screen: "nothing", id: null, query: new URLSearchParams(search) };
}

const listeners = new Set();

export function navigate(to, { replace = false } = {}) {
  history[replace ? "replaceState" : "pushState"](null, "", to);
  window.scrollTo(0, 0);
  for (const listener of listeners) listener();
}

function listen(listener) {
  listeners.add(listener);
  window.addEventListener("popstate", listener);
  return () => {
    listeners.delete(listener);
    window.removeEventListener("popstate", listener);
  };
}

// The address as text: a new object each time would draw without end.
export function useRoute() {
  const address = useSyncExternalStore(listen, () => location.pathname + location.search);
  const [path, search] = address.split("?");
  return parseRoute(path, search);
}
