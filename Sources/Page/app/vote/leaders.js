// The ids of the options with the most votes: several where they are equal, none before the first.
export function leaders(poll) {
  const most = Math.max(0, ...poll.options.map((option) => option.vote_count ?? 0));
  if (most === 0) return new Set();
  return new Set(poll.options.filter((o) => o.vote_count === most).map((o) => o.id));
}
