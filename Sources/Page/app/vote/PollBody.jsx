// What a voter can do with a poll now: choose, or read why not. The poll's page and the embedded
// poll share it.
import { useState } from "react";
import { AskName, NameShown, useVoterName } from "./VoterName.jsx";
import { Explanation } from "./Explanation.jsx";
import { Outcome } from "./Outcome.jsx";
import { Results } from "./Results.jsx";
import { VoteForm } from "./VoteForm.jsx";
import { useBallot } from "./ballots.js";
import { votingPhase } from "./phase.js";

export function PollBody({ live: { poll } }) {
  const ballot = useBallot(poll.id);
  const [name, setName] = useVoterName();
  const [isNaming, setNaming] = useState(false);
  const phase = votingPhase(poll, ballot);

  const needsName = phase === "open" && poll.ask_name && (!name || isNaming);
  return (
    <>
      <Explanation poll={poll} ballot={ballot} phase={phase} />
      {needsName && <AskName name={name} onName={(wanted) => { setName(wanted); setNaming(false); }} />}
      {phase === "open" && !needsName
        ? <VoteForm poll={poll} ballot={ballot} voter={poll.ask_name ? name : undefined} />
        : <Results poll={poll} ballot={ballot} />}
      <Outcome ballot={ballot} />
      {phase === "open" && poll.ask_name && !needsName &&
        <NameShown name={name} onChange={() => setNaming(true)} />}
    </>
  );
}
