// What a voter can do with a poll now, as one word, so that every screen decides alike:
//
//   scheduled   not yet            closed   no more
//   voted       has voted, and the poll allows no change
//   open        may choose, or choose again
export function votingPhase(poll, ballot) {
  if (poll.state === "scheduled") return "scheduled";
  if (poll.state === "closed") return "closed";
  if (hasVotedFor(poll, ballot) && !poll.change_vote) return "voted";
  return "open";
}

// Options may have been replaced since: then what was chosen is no choice of this poll.
export function hasVotedFor(poll, ballot) {
  if (ballot.outcome === "already_voted") return true;
  return ballot.chosen !== null && ballot.chosen.every((id) => poll.options.some((o) => o.id === id));
}

export const areCountsHidden = (poll) => poll.total_votes === null;

// The letter that stands for an option in the room: "vote B".
export const letterOf = (index) => (index < 26 ? String.fromCharCode(65 + index) : String(index + 1));
