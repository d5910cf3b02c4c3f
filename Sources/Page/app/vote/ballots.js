// What this browser's voter chose in each poll. The client casts, keeps what could not be sent, and
// sends it again as the same voter; here stands only what the screens show of it.
import { useSyncExternalStore } from "react";
import { client } from "../gateway.js";

const stored = new Set(["counted", "changed", "repeated"]);
const unanswered = new Set(["sending", "kept", "rate_limited"]);

const ballots = new Map();
const listeners = new Set();

// `{chosen, waiting, outcome}`: `chosen` are the options that count, `waiting` those on their way,
// each as ids or null; `outcome` is the status of what was cast since the page was opened.
function ballotOf(pollID) {
  if (!ballots.has(pollID)) {
    const last = client.ballot(pollID);
    const nothing = { chosen: null, waiting: null, outcome: null };
    const found = last ? after(nothing, last) : nothing;
    // What was answered long ago is no news.
    ballots.set(pollID, stored.has(found.outcome) ? { ...found, outcome: null } : found);
  }
  return ballots.get(pollID);
}

function after(ballot, { status, option_ids }) {
  return {
    chosen: stored.has(status) ? option_ids : ballot.chosen,
    waiting: unanswered.has(status) ? option_ids : null,
    outcome: status,
  };
}

client.on("ballot", (step) => {
  if (step.status === "replaced") return;   // by a newer one, which has steps of its own
  ballots.set(step.poll_id, after(ballotOf(step.poll_id), step));
  for (const listener of listeners) listener();
});

export const cast = (pollID, optionIDs, voter) => client.vote(pollID, optionIDs, { voter });

function listen(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export const useBallot = (pollID) => useSyncExternalStore(listen, () => ballotOf(pollID));
