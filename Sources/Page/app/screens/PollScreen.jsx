// One poll for the audience: vote, and watch.
import { Announcer } from "../parts/Announcer.jsx";
import { ConnectionBadge } from "../parts/ConnectionBadge.jsx";
import { Icon } from "../parts/Icon.jsx";
import { Link } from "../parts/Link.jsx";
import { StateBadge } from "../parts/StateBadge.jsx";
import { Title, useDocumentTitle } from "../parts/Title.jsx";
import { useHostKeys } from "../host/hostKeys.js";
import { useTexts } from "../texts/texts.jsx";
import { LiveFigures } from "../vote/LiveFigures.jsx";
import { PollBody } from "../vote/PollBody.jsx";
import { PollGate } from "./PollGate.jsx";

export function PollScreen({ id }) {
  return <PollGate id={id}>{(live) => <Poll live={live} />}</PollGate>;
}

function Poll({ live }) {
  const { poll } = live;
  const { t } = useTexts();
  const isHost = useHostKeys().some((entry) => entry.id === poll.id);
  useDocumentTitle(poll.title);
  return (
    <article className="poll">
      <div className="poll-head">
        <span className="badges"><StateBadge state={poll.state} /><ConnectionBadge /></span>
        <span className="soft">{t("poll.code")} <span className="code">{poll.join_code}</span></span>
      </div>
      <Title className="question">{poll.title}</Title>
      {poll.description && <p className="description">{poll.description}</p>}
      <PollBody live={live} />
      <LiveFigures live={live} />
      <Announcer poll={poll} />
      <p className="actions poll-links">
        <Link className="button" to={`/p/${poll.id}/present`}><Icon name="screen" /> {t("poll.present")}</Link>
        {isHost && <Link className="button" to={`/host/${poll.id}`}><Icon name="key" /> {t("poll.host")}</Link>}
      </p>
    </article>
  );
}
