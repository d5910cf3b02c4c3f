// Open, close, give more time, delete.
import { useState } from "react";
import { Confirm, Dialog } from "../parts/Dialog.jsx";
import { Field } from "../parts/Field.jsx";
import { navigate } from "../route.js";
import { useTexts } from "../texts/texts.jsx";
import { inLocalTime, toUTC } from "./localTime.js";

const extensions = [5, 15, 60];   // minutes

export function HostActions({ poll, hosting }) {
  const { t } = useTexts();
  const [asking, ask] = useState(null);
  const done = () => ask(null);

  async function remove() {
    if (await hosting.remove()) navigate("/host", { replace: true });
  }

  return (
    <section className="card" aria-labelledby="host-actions">
      <h2 id="host-actions">{t("host.actions")}</h2>
      <div className="actions stack">
        {poll.state === "scheduled" && (
          <button type="button" className="button primary" disabled={hosting.isBusy} onClick={hosting.open}>
            {t("host.open")}
          </button>
        )}
        {poll.state === "open" && (
          <button type="button" className="button primary" disabled={hosting.isBusy} onClick={() => ask("close")}>
            {t("host.close")}
          </button>
        )}
        {poll.state !== "closed" && (
          <button type="button" className="button" disabled={hosting.isBusy} onClick={() => ask("extend")}>
            {t("host.extend")}
          </button>
        )}
        <button type="button" className="button danger" disabled={hosting.isBusy} onClick={() => ask("delete")}>
          {t("host.delete")}
        </button>
      </div>
      {asking === "close" && (
        <Confirm
          title={t("host.close.title")} text={t("host.close.text")} action={t("host.close")}
          onConfirm={hosting.close} onClose={done}
        />
      )}
      {asking === "delete" && (
        <Confirm
          title={t("host.delete.title")} text={t("host.delete.text")} action={t("host.delete")} isDangerous
          onConfirm={remove} onClose={done}
        />
      )}
      {asking === "extend" && <Extend poll={poll} hosting={hosting} onClose={done} />}
    </section>
  );
}

function Extend({ poll, hosting, onClose }) {
  const { t } = useTexts();
  const [end, setEnd] = useState(poll.end_time ? inLocalTime(poll.end_time) : "");
  const [problem, setProblem] = useState(null);

  async function setTo(time) {
    onClose();
    await hosting.change({ end_time: time });
  }
  // From the end that is set, or from now where there is none.
  function add(minutes) {
    const from = Math.max(Date.now(), poll.end_time ? Date.parse(poll.end_time) : 0);
    setTo(new Date(from + minutes * 60_000).toISOString());
  }
  function submit(event) {
    event.preventDefault();
    const time = toUTC(end);
    if (!time || Date.parse(time) <= Date.now()) return setProblem(t("create.problem.end_past"));
    setTo(time);
  }

  return (
    <Dialog title={t("host.extend")} onClose={onClose}>
      <div className="actions">
        {extensions.map((minutes) => (
          <button key={minutes} type="button" className="button" onClick={() => add(minutes)}>
            {t("host.extend.minutes", { count: minutes })}
          </button>
        ))}
        {poll.end_time && (
          <button type="button" className="button" onClick={() => setTo(null)}>{t("host.extend.endless")}</button>
        )}
      </div>
      <form onSubmit={submit} noValidate>
        <Field label={t("host.extend.until")} problem={problem}>
          {(field) => (
            <input {...field} type="datetime-local" step="1" value={end} onChange={(event) => setEnd(event.target.value)} />
          )}
        </Field>
        <div className="actions end">
          <button type="button" className="button" onClick={onClose}>{t("dialog.cancel")}</button>
          <button className="button primary">{t("host.extend.set")}</button>
        </div>
      </form>
    </Dialog>
  );
}
