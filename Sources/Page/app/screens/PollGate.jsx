// A poll on screen, or in words why it is not there. `children` draws the poll once it is known.
import { useEffect, useState } from "react";
import { Trouble, troubleOf } from "../parts/Trouble.jsx";
import { useLivePoll } from "../live/useLivePoll.js";
import { useTexts } from "../texts/texts.jsx";

// How long a first snapshot may take before we say that the gateway is away.
const patienceMilliseconds = 4000;

export function PollGate({ id, children }) {
  const live = useLivePoll(id);
  const isImpatient = useImpatience(live.poll === null && live.error === null);
  const { t } = useTexts();
  if (live.error && (live.poll === null || isFinal(live.error))) {
    return <Trouble kind={troubleOf(live.error)} />;
  }
  if (live.poll) return children(live);
  // The connection goes on trying; as soon as it succeeds the poll takes the place of this.
  if (isImpatient) return <Trouble kind="away"><p className="soft">{t("trouble.trying")}</p></Trouble>;
  return <p className="soft loading" role="status">{t("shell.loading")}</p>;
}

const isFinal = (error) => error === "deleted" || error === "poll_not_found";

function useImpatience(isWaiting) {
  const [isImpatient, setImpatient] = useState(false);
  useEffect(() => {
    setImpatient(false);
    if (!isWaiting) return undefined;
    const timer = setTimeout(() => setImpatient(true), patienceMilliseconds);
    return () => clearTimeout(timer);
  }, [isWaiting]);
  return isImpatient;
}
