// Whether the numbers on screen are live, or since when they are not.
import { Icon } from "./Icon.jsx";
import { useConnection } from "../live/useConnection.js";
import { useTexts } from "../texts/texts.jsx";

const icons = { live: "live", connecting: "reload", reconnecting: "reload", stale: "alert" };
// Event streams and a gateway that is about to go are as live as anything.
const kinds = { sse: "live", draining: "live" };

export function ConnectionBadge() {
  const { t, clock } = useTexts();
  const { status, since } = useConnection();
  const kind = kinds[status] ?? status;
  // The region stays while its text changes: only then is the change spoken.
  return (
    <span role="status">
      {kind !== "idle" && (
        <span className={`badge connection ${kind}`}>
          <Icon name={icons[kind]} /> {t(`connection.${kind}`, { time: since ? clock(since) : "" })}
        </span>
      )}
    </span>
  );
}
