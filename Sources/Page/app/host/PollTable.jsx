// The list of polls with its search and filters.
import { useState } from "react";
import { Field } from "../parts/Field.jsx";
import { Icon } from "../parts/Icon.jsx";
import { useLivePoll } from "../live/useLivePoll.js";
import { Link } from "../parts/Link.jsx";
import { StateBadge } from "../parts/StateBadge.jsx";
import { useTexts } from "../texts/texts.jsx";
import { HostProblem } from "./HostProblem.jsx";
import { useHostKeys } from "./hostKeys.js";
import { usePolls } from "./usePolls.js";

// Below what a gateway lets one connection subscribe to, 128 unless told otherwise.
const liveLimit = 100;
const states = ["all", "open", "scheduled", "closed"];

export function PollTable() {
  const { t } = useTexts();
  const keys = useHostKeys();
  const [scope, setScope] = useState(keys.length > 0 ? "mine" : "all");
  const [state, setState] = useState("all");
  const [search, setSearch] = useState("");
  const { polls, hasMore, problem, more } = usePolls(scope, state, keys);

  const shown = (polls ?? []).filter((poll) => (state === "all" || poll.state === state) && matches(poll, search));
  return (
    <section aria-labelledby="host-polls">
      <h2 id="host-polls" className="only-spoken">{t("host.polls")}</h2>
      <div className="filters">
        <Field label={t("host.search")} className="grow">
          {(field) => <input {...field} type="search" value={search} onChange={(event) => setSearch(event.target.value)} />}
        </Field>
        <Field label={t("host.scope")}>
          {(field) => (
            <select {...field} value={scope} onChange={(event) => setScope(event.target.value)}>
              <option value="mine">{t("host.mine", { count: keys.length })}</option>
              <option value="all">{t("host.everybody")}</option>
            </select>
          )}
        </Field>
        <Field label={t("host.state")}>
          {(field) => (
            <select {...field} value={state} onChange={(event) => setState(event.target.value)}>
              {states.map((name) => <option key={name} value={name}>{t(`state.${name}`)}</option>)}
            </select>
          )}
        </Field>
      </div>
      <HostProblem code={problem} />
      <p className="soft" role="status">{polls && t("host.found", { count: shown.length })}</p>
      <ul className="host-list">
        {shown.map((poll, index) => {
          const Line = index < liveLimit ? LiveRow : Row;
          return <Line key={poll.id} poll={poll} isMine={keys.some((entry) => entry.id === poll.id)} />;
        })}
      </ul>
      {hasMore && <button type="button" className="button" onClick={more}>{t("host.more")}</button>}
    </section>
  );
}

// As it is now, as soon as that is known.
function LiveRow({ poll, isMine }) {
  return <Row poll={useLivePoll(poll.id).poll ?? poll} isMine={isMine} />;
}

function Row({ poll, isMine }) {
  const { t, moment } = useTexts();
  return (
    <li className="host-row">
      <div className="host-row-main">
        <Link className="host-row-title" to={isMine ? `/host/${poll.id}` : `/p/${poll.id}`}>{poll.title}</Link>
        <p className="soft">
          {poll.total_votes === null ? t("results.hiddenShort") : t("results.total", { count: poll.total_votes })}
          {" · "}<span className="code">{poll.join_code}</span>
          {" · "}{moment(Date.parse(poll.created_at))}
          {isMine && <> · <span className="nowrap"><Icon name="key" /> {t("host.yours")}</span></>}
        </p>
      </div>
      <StateBadge state={poll.state} />
    </li>
  );
}

const matches = (poll, search) =>
  `${poll.title} ${poll.join_code} ${poll.options.map((option) => option.text).join(" ")}`
    .toLowerCase().includes(search.trim().toLowerCase());
