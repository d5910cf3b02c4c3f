// How a poll goes: what may be chosen, what is shown, from when to when.
import { Field } from "../parts/Field.jsx";
import { useTexts } from "../texts/texts.jsx";

const visibilities = ["live", "after_vote", "after_close"];

export function PollRules({ draft, onChange, problemOf }) {
  const { t } = useTexts();
  return (
    <>
      <fieldset className="choice-row">
        <legend>{t("create.kind")}</legend>
        {["single", "multiple"].map((kind) => (
          <label key={kind} className="pill">
            <input type="radio" name="kind" checked={draft.kind === kind} onChange={() => onChange({ kind })} />
            {t(`create.kind.${kind}`)}
          </label>
        ))}
      </fieldset>
      {draft.kind === "multiple" && (
        <Field label={t("create.max")} hint={t("create.maxHint")} problem={problemOf("max_choices")}>
          {(field) => (
            <input
              {...field} className="short" inputMode="numeric" value={draft.maxChoices}
              onChange={(event) => onChange({ maxChoices: event.target.value.trim() })}
            />
          )}
        </Field>
      )}
      <Field label={t("create.results")}>
        {(field) => (
          <select {...field} value={draft.results} onChange={(event) => onChange({ results: event.target.value })}>
            {visibilities.map((name) => <option key={name} value={name}>{t(`create.results.${name}`)}</option>)}
          </select>
        )}
      </Field>
      <Check name="changeVote" label={t("create.changeVote")} draft={draft} onChange={onChange} />
      <Check name="askName" label={t("create.askName")} draft={draft} onChange={onChange} />
      <div className="two">
        <Moment name="startsAt" label={t("create.starts")} hint={t("create.startsHint")} draft={draft} onChange={onChange} />
        <Moment
          name="endTime" label={t("create.ends")} hint={t("create.endsHint")} draft={draft} onChange={onChange}
          problem={problemOf("end_time")}
        />
      </div>
    </>
  );
}

function Check({ name, label, draft, onChange }) {
  return (
    <label className="check">
      <input type="checkbox" checked={draft[name]} onChange={(event) => onChange({ [name]: event.target.checked })} />
      {label}
    </label>
  );
}

// In the host's own time; seconds too, which a rehearsal wants.
function Moment({ name, label, hint, problem, draft, onChange }) {
  return (
    <Field label={label} hint={hint} problem={problem}>
      {(field) => (
        <input
          {...field} type="datetime-local" step="1" value={draft[name]}
          onChange={(event) => onChange({ [name]: event.target.value })}
        />
      )}
    </Field>
  );
}
