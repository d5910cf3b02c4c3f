// One poll inside another site's page: no chrome around it, and as high as it needs to be. The
// frame's page is told how high that is (embed.js listens).
import { useEffect, useRef } from "react";
import { ConnectionBadge } from "../parts/ConnectionBadge.jsx";
import { StateBadge } from "../parts/StateBadge.jsx";
import { Announcer } from "../parts/Announcer.jsx";
import { useDocumentTitle } from "../parts/Title.jsx";
import { useTexts } from "../texts/texts.jsx";
import { LiveFigures } from "../vote/LiveFigures.jsx";
import { PollBody } from "../vote/PollBody.jsx";
import { PollGate } from "./PollGate.jsx";

export function EmbedScreen({ id }) {
  const frame = useRef(null);
  useEffect(() => {
    const observer = new ResizeObserver(() => {
      const height = Math.ceil(frame.current.getBoundingClientRect().height);
      // Any page may embed a poll, and a height is no secret.
      window.parent.postMessage({ pollstream: "height", poll: id, height }, "*");
    });
    observer.observe(frame.current);
    return () => observer.disconnect();
  }, [id]);
  return (
    <main className="embed" ref={frame}>
      <PollGate id={id}>{(live) => <EmbeddedPoll live={live} />}</PollGate>
    </main>
  );
}

function EmbeddedPoll({ live }) {
  const { poll } = live;
  const { t } = useTexts();
  useDocumentTitle(poll.title);
  return (
    <article>
      <div className="poll-head"><StateBadge state={poll.state} /><ConnectionBadge /></div>
      <h1 className="question">{poll.title}</h1>
      <PollBody live={live} />
      <LiveFigures live={live} />
      <Announcer poll={poll} />
      <p className="soft embed-foot">
        <a href={`/p/${poll.id}`} target="_blank" rel="noopener">{t("embed.full")}</a>
      </p>
    </article>
  );
}
