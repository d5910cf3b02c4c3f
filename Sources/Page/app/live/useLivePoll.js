import { useSyncExternalStore } from "react";
import { LivePoll } from "./LivePoll.js";

// One for each poll that was on screen, so that all parts of the page see the same numbers and a
// screen that is opened again shows the last ones at once.
const polls = new Map();

// `{poll, viewers, votesPerSecond, error}`, drawn again as they change.
export function useLivePoll(id) {
  if (!polls.has(id)) polls.set(id, new LivePoll(id));
  const live = polls.get(id);
  return useSyncExternalStore(live.listen, live.current);
}
