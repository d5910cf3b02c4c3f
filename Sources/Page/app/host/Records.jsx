// What remains of a poll: files to keep, and the proof that the counts are the ballots.
import { useState } from "react";
import { client } from "../gateway.js";
import { Icon } from "../parts/Icon.jsx";
import { useTexts } from "../texts/texts.jsx";
import { saveFile } from "./saveFile.js";

export function Records({ poll, hosting }) {
  const { t } = useTexts();
  const [audit, setAudit] = useState(null);

  async function save(name, read) {
    const blob = await hosting.read(read);
    if (blob) saveFile(name, blob);
  }

  return (
    <section className="card" aria-labelledby="records">
      <h2 id="records">{t("records.title")}</h2>
      <div className="actions stack">
        <button type="button" className="button" onClick={() => save(
          `results-${poll.id}.csv`, () => client.polls.resultsCSV(poll.id))}>
          {t("records.csv")}
        </button>
        <button type="button" className="button" onClick={() => save(
          `results-${poll.id}.json`, () => resultsJSON(poll.id))}>
          {t("records.json")}
        </button>
        {hosting.isHost && (
          <>
            <button type="button" className="button" onClick={() => save(
              `ballots-${poll.id}.csv`, () => client.polls.ballotsCSV(poll.id))}>
              {t("records.ballots")}
            </button>
            <button type="button" className="button" disabled={hosting.isBusy} onClick={async () =>
              setAudit(await hosting.read(() => client.polls.audit(poll.id)))}>
              {t("records.audit")}
            </button>
          </>
        )}
      </div>
      <div role="status">{audit && <Verdict audit={audit} />}</div>
    </section>
  );
}

async function resultsJSON(id) {
  const results = await client.polls.results(id);
  return new Blob([JSON.stringify(results, null, 2)], { type: "application/json" });
}

function Verdict({ audit }) {
  const { t } = useTexts();
  const key = audit.ballots_removed_at ? "removed" : audit.consistent ? "consistent" : "inconsistent";
  return (
    <p className={`note ${key === "inconsistent" ? "bad" : "good"}`}>
      <Icon name={key === "inconsistent" ? "alert" : "check"} />
      <span>{t(`audit.${key}`, { total: audit.total, stored: audit.stored_ballots })}</span>
    </p>
  );
}
