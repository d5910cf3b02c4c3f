// The polls a host looks through: those whose keys are here, or all of the gateway.
import { useCallback, useEffect, useState } from "react";
import { client } from "../gateway.js";

const pageSize = 100;
const atOnce = 6;

// `{polls, hasMore, problem, more}`; polls is null until the first have come.
export function usePolls(scope, state, keys) {
  const [found, setFound] = useState({ polls: null, hasMore: false, problem: null, page: 1 });
  const ids = keys.map((entry) => entry.id).join();

  const load = useCallback(async (page, isWanted) => {
    try {
      const next = scope === "mine"
        ? await mine(ids ? ids.split(",").map(Number) : [], page)
        : await everything(state, page);
      if (!isWanted()) return;
      setFound((before) => ({
        polls: page === 1 ? next.polls : [...before.polls, ...next.polls],
        hasMore: next.hasMore, problem: null, page,
      }));
    } catch (error) {
      if (isWanted()) setFound((before) => ({ ...before, problem: error.code }));
    }
  }, [scope, state, ids]);

  useEffect(() => {
    let isWanted = true;
    load(1, () => isWanted);
    return () => { isWanted = false; };
  }, [load]);

  return { ...found, more: () => load(found.page + 1, () => true) };
}

async function everything(state, page) {
  const answer = await client.polls.list({ state, page, page_size: pageSize });
  return { polls: answer.results, hasMore: answer.next !== null };
}

// The gateway keeps no list of who hosts what: each poll is read by itself, a few at a time.
async function mine(ids, page) {
  const wanted = ids.slice((page - 1) * pageSize, page * pageSize);
  const polls = new Array(wanted.length).fill(null);
  let next = 0;
  async function readOn() {
    while (next < wanted.length) {
      const index = next;
      next += 1;
      try {
        polls[index] = await client.polls.read(wanted[index]);
      } catch (error) {
        // Deleted from elsewhere: its key opens nothing, and the list goes without it.
        if (error.status !== 404) throw error;
      }
    }
  }
  await Promise.all(Array.from({ length: atOnce }, readOn));
  return { polls: polls.filter(Boolean), hasMore: ids.length > page * pageSize };
}
