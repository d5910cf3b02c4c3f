// The poll on a projector: read from the back row, driven from the keyboard.
import { useState } from "react";
import { Announcer } from "../parts/Announcer.jsx";
import { ConnectionBadge } from "../parts/ConnectionBadge.jsx";
import { QRCode } from "../parts/QRCode.jsx";
import { StateBadge } from "../parts/StateBadge.jsx";
import { useDocumentTitle } from "../parts/Title.jsx";
import { Confirm } from "../parts/Dialog.jsx";
import { joinLink } from "../gateway.js";
import { hostKeys } from "../host/hostKeys.js";
import { useHosting } from "../host/useHosting.js";
import { navigate } from "../route.js";
import { useTexts } from "../texts/texts.jsx";
import { LiveFigures } from "../vote/LiveFigures.jsx";
import { PollGate } from "./PollGate.jsx";
import { PresentBars } from "../present/PresentBars.jsx";
import { KeyHelp } from "../present/KeyHelp.jsx";
import { useKeys } from "../present/useKeys.js";

export function PresentScreen({ id }) {
  return (
    <main className="present">
      <PollGate id={id}>{(live) => <Presentation live={live} />}</PollGate>
    </main>
  );
}

function Presentation({ live }) {
  const { poll } = live;
  const { t } = useTexts();
  const hosting = useHosting(poll.id);
  const [isHiding, setHiding] = useState(false);
  const [asking, ask] = useState(null);   // what lies over the poll: close, help or nothing
  const [notice, tell] = useState(null);
  useDocumentTitle(poll.title);

  // A success says nothing: by its answer another key may have had its say.
  async function attempt(change) {
    tell(null);
    if (!await change) tell(t("present.failed"));
  }
  async function start() {
    if (!hosting.isHost) return tell(t("present.noKey"));
    if (poll.state !== "scheduled") return tell(t(`present.already.${poll.state}`));
    await attempt(hosting.open());
  }
  function askToClose() {
    if (!hosting.isHost) return tell(t("present.noKey"));
    if (poll.state === "closed") return tell(t("present.already.closed"));
    ask("close");
  }
  // The host's polls from old to new, round and round.
  function go(step) {
    const ids = hostKeys.all().map((entry) => entry.id).reverse();
    const others = ids.filter((id) => id !== poll.id);
    if (others.length === 0) return tell(t("present.noOther"));
    const here = ids.indexOf(poll.id);
    const next = here < 0 ? others[0] : ids[(here + step + ids.length) % ids.length];
    navigate(`/p/${next}/present`);
  }

  useKeys(asking === null, {
    s: start,
    c: askToClose,
    n: () => go(1), ArrowRight: () => go(1), PageDown: () => go(1),
    p: () => go(-1), ArrowLeft: () => go(-1), PageUp: () => go(-1),
    h: () => setHiding((before) => !before),
    f: toggleFullScreen,
    "?": () => ask("help"),
    Escape: () => tell(null),
  });

  const link = joinLink(poll);
  return (
    <>
      <header className="present-head">
        <h1 className={poll.title.length > 80 ? "present-question long" : "present-question"}>{poll.title}</h1>
        <StateBadge state={poll.state} />
      </header>
      <section className="present-body">
        <PresentBars poll={poll} isHiding={isHiding} />
        {poll.state !== "closed" && (
          <aside className="present-join" aria-label={t("present.joining")}>
            <QRCode text={link} label={t("qr.label", { link })} />
            <p className="present-where">{t("present.goTo")} <strong>{location.host}</strong></p>
            <p className="present-code">
              <span className="soft">{t("poll.code")}</span> <strong className="code">{poll.join_code}</strong>
            </p>
          </aside>
        )}
      </section>
      <footer className="present-foot">
        <LiveFigures live={isHiding ? hidden(live) : live} />
        <p role="status" className="present-notice">{notice}</p>
        <ConnectionBadge />
        <button type="button" className="button quiet" onClick={() => ask("help")}>
          <kbd>?</kbd> {t("present.keys")}
        </button>
      </footer>
      {!isHiding && <Announcer poll={poll} />}
      {asking === "help" && <KeyHelp onClose={() => ask(null)} />}
      {asking === "close" && (
        <Confirm
          title={t("host.close.title")} text={t("host.close.text")} action={t("host.close")}
          onClose={() => ask(null)}
          onConfirm={() => attempt(hosting.close())}
        />
      )}
    </>
  );
}

// What the audience is not to see yet, the presenter hides here alone; others see what they saw.
const hidden = (live) => ({ ...live, poll: { ...live.poll, total_votes: null } });

function toggleFullScreen() {
  // Refused where there is no room for it (a frame, some phones), or while the last change is under
  // way: then everything stays.
  const change = document.fullscreenElement
    ? document.exitFullscreen() : document.documentElement.requestFullscreen?.();
  change?.catch(() => {});
}
