// One poll for its host: everything the audience sees, and everything one can do with it.
import { Announcer } from "../parts/Announcer.jsx";
import { ConnectionBadge } from "../parts/ConnectionBadge.jsx";
import { Icon } from "../parts/Icon.jsx";
import { Link } from "../parts/Link.jsx";
import { StateBadge } from "../parts/StateBadge.jsx";
import { Title, useDocumentTitle } from "../parts/Title.jsx";
import { HostActions } from "../host/HostActions.jsx";
import { Invitation } from "../host/Invitation.jsx";
import { Records } from "../host/Records.jsx";
import { useHosting } from "../host/useHosting.js";
import { HostProblem } from "../host/HostProblem.jsx";
import { useTexts } from "../texts/texts.jsx";
import { LiveFigures } from "../vote/LiveFigures.jsx";
import { Results } from "../vote/Results.jsx";
import { PollGate } from "./PollGate.jsx";

export function HostedScreen({ id }) {
  return <PollGate id={id}>{(live) => <Hosted live={live} />}</PollGate>;
}

function Hosted({ live }) {
  const { poll } = live;
  const { t, moment } = useTexts();
  const hosting = useHosting(poll.id);
  useDocumentTitle(poll.title);
  const times = [["starts_at", "times.starts"], ["end_time", "times.ends"], ["closed_at", "times.closed"]]
    .filter(([member]) => poll[member]);
  return (
    <article className="hosted">
      <p><Link to="/host" className="back">← {t("host.title")}</Link></p>
      <div className="hosted-grid">
        <div className="hosted-poll">
          <div className="poll-head">
            <span className="badges"><StateBadge state={poll.state} /><ConnectionBadge /></span>
            <span className="soft">{t(`create.results.${poll.results}`)}</span>
          </div>
          <Title className="question">{poll.title}</Title>
          {poll.description && <p className="description">{poll.description}</p>}
          <Results poll={poll} />
          <LiveFigures live={live} />
          {times.length > 0 && (
            <dl className="times">
              {times.map(([member, key]) => (
                <div key={member}><dt>{t(key)}</dt><dd>{moment(Date.parse(poll[member]))}</dd></div>
              ))}
            </dl>
          )}
          <Announcer poll={poll} />
        </div>
        <div className="hosted-side">
          {hosting.isHost ? (
            <>
              <HostActions poll={poll} hosting={hosting} />
              <HostProblem code={hosting.problem} />
            </>
          ) : (
            <p className="note warn"><Icon name="key" /> <span>{t("host.noKey")}</span></p>
          )}
          <Invitation poll={poll} />
          <Records poll={poll} hosting={hosting} />
        </div>
      </div>
    </article>
  );
}
