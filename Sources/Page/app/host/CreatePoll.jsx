// Making a poll: a form, and beside it what the audience will see.
import { useEffect, useRef, useState } from "react";
import { Field } from "../parts/Field.jsx";
import { Link } from "../parts/Link.jsx";
import { Title } from "../parts/Title.jsx";
import { client } from "../gateway.js";
import { navigate } from "../route.js";
import { useTexts } from "../texts/texts.jsx";
import { AdminKeyField, adminKey } from "./AdminKey.jsx";
import { bodyOf, emptyDraft, problemsOf } from "./draft.js";
import { HostProblem } from "./HostProblem.jsx";
import { hostKeys } from "./hostKeys.js";
import { OptionsEditor } from "./OptionsEditor.jsx";
import { PollRules } from "./PollRules.jsx";
import { Preview } from "./Preview.jsx";

export function CreatePoll() {
  const { t } = useTexts();
  const [draft, setDraft] = useState(emptyDraft);
  const [problems, setProblems] = useState({});
  const [refusal, setRefusal] = useState(null);
  const [isSending, setSending] = useState(false);
  const form = useRef(null);

  // Whoever sent a form with mistakes is taken to the first one.
  useEffect(() => {
    form.current.querySelector("[aria-invalid=true]")?.focus();
  }, [problems]);

  const problemOf = (field) => problems[field] && t(problems[field]);
  const change = (members) => setDraft((before) => ({ ...before, ...members }));

  async function submit(event) {
    event.preventDefault();
    const found = problemsOf(draft, Date.now());
    setProblems(found);
    setRefusal(null);
    if (Object.keys(found).length > 0) return;
    setSending(true);
    try {
      const poll = await client.polls.create(bodyOf(draft), { adminKey: adminKey.get() });
      hostKeys.add(poll);
      navigate(`/host/${poll.id}`, { replace: true });
    } catch (error) {
      setSending(false);
      setRefusal(error);
    }
  }

  const needsKey = refusal?.status === 401 || refusal?.status === 403;
  return (
    <>
      <p><Link to="/host" className="back">← {t("host.title")}</Link></p>
      <Title>{t("create.title")}</Title>
      <div className="create-grid">
        <form ref={form} onSubmit={submit} className="card create-form" noValidate>
          <Field label={t("create.question")} problem={problemOf("title")}>
            {(field) => (
              <input
                {...field} value={draft.title} maxLength={200} required
                onChange={(event) => change({ title: event.target.value })}
              />
            )}
          </Field>
          <Field label={t("create.description")}>
            {(field) => (
              <textarea
                {...field} rows="2" value={draft.description} maxLength={2000}
                onChange={(event) => change({ description: event.target.value })}
              />
            )}
          </Field>
          <OptionsEditor draft={draft} onDraft={setDraft} problemOf={problemOf} />
          <PollRules draft={draft} onChange={change} problemOf={problemOf} />
          {needsKey && <AdminKeyField wasRefused={adminKey.get() !== null} />}
          {refusal && !needsKey && <HostProblem code={refusal.code} />}
          <button className="button primary large" disabled={isSending}>{t("create.make")}</button>
        </form>
        <Preview draft={draft} />
      </div>
    </>
  );
}
