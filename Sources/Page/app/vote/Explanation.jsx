// Why one cannot vote, or cannot see the counts, and what will change that.
import { Countdown } from "../parts/Countdown.jsx";
import { Icon } from "../parts/Icon.jsx";
import { useTexts } from "../texts/texts.jsx";
import { areCountsHidden } from "./phase.js";

export function Explanation({ poll, ballot, phase }) {
  const { t, moment } = useTexts();
  const ends = poll.end_time && poll.state === "open";
  return (
    <>
      {phase === "scheduled" && (
        <div className="note scheduled">
          <Icon name="wait" />
          <div>
            <strong>{t("phase.scheduled")}</strong>
            {poll.starts_at && (
              <p>
                {t("phase.startsAt", { time: moment(Date.parse(poll.starts_at)) })}{" "}
                <Countdown until={poll.starts_at} />
              </p>
            )}
          </div>
        </div>
      )}
      {phase === "closed" && (
        <p className="note final"><Icon name="flag" />
          <span>
            <strong>{t("phase.closed")}</strong>{" "}
            {poll.closed_at && t("phase.closedAt", { time: moment(Date.parse(poll.closed_at)) })}
          </span>
        </p>
      )}
      {phase === "voted" && ballot.outcome === null && (
        <p className="note good"><Icon name="check" /> <span>{t("phase.voted")}</span></p>
      )}
      {phase === "open" && ends && (
        <p className="hint">
          <Icon name="wait" /> {t("phase.endsAt", { time: moment(Date.parse(poll.end_time)) })}{" "}
          <Countdown until={poll.end_time} />
        </p>
      )}
      {areCountsHidden(poll) && phase !== "scheduled" && (
        <p className="note hidden-results"><Icon name="hidden" /> <span>{t(`hidden.${poll.results}`)}</span></p>
      )}
    </>
  );
}
