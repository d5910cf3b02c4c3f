// What the host of a poll can do with it. A call answers what the gateway said, or null where it
// failed; `problem` is then the code of why. What it changed comes back live, as to everybody.
import { useState } from "react";
import { client } from "../gateway.js";
import { hostKeys, useHostKeys } from "./hostKeys.js";

export function useHosting(id) {
  const isHost = useHostKeys().some((entry) => entry.id === id);
  const [problem, setProblem] = useState(null);
  const [isBusy, setBusy] = useState(false);

  async function attempt(call) {
    setBusy(true);
    setProblem(null);
    try {
      return await call() ?? {};
    } catch (error) {
      setProblem(error.code);
      return null;
    } finally {
      setBusy(false);
    }
  }

  return {
    isHost, problem, isBusy,
    open: () => attempt(() => client.polls.open(id)),
    close: () => attempt(() => client.polls.close(id)),
    change: (members) => attempt(() => client.polls.update(id, members)),
    remove: () => attempt(async () => {
      await client.polls.delete(id);
      hostKeys.remove(id);
    }),
    read: (call) => attempt(call),
  };
}
