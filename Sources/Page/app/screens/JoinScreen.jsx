// Where an audience arrives: a code that was read aloud, or one of the open polls.
import { useEffect, useState } from "react";
import { Field } from "../parts/Field.jsx";
import { Icon } from "../parts/Icon.jsx";
import { Link } from "../parts/Link.jsx";
import { Title, useDocumentTitle } from "../parts/Title.jsx";
import { client } from "../gateway.js";
import { navigate } from "../route.js";
import { useTexts } from "../texts/texts.jsx";

export function JoinScreen() {
  const { t } = useTexts();
  useDocumentTitle("");
  return (
    <div className="join">
      <section className="join-card">
        <Title className="display">{t("join.title")}</Title>
        <p className="lead">{t("join.lead")}</p>
        <CodeForm />
      </section>
      <OpenPolls />
    </div>
  );
}

function CodeForm() {
  const { t, has } = useTexts();
  const [code, setCode] = useState("");
  const [problem, setProblem] = useState(null);
  const [isLooking, setLooking] = useState(false);

  async function join(event) {
    event.preventDefault();
    const wanted = code.replace(/[^a-z0-9]/gi, "").toUpperCase();
    if (!wanted) return setProblem("join.empty");
    setProblem(null);
    setLooking(true);
    try {
      const poll = await client.polls.find(wanted);
      navigate(`/p/${poll.id}`);
    } catch (error) {
      setLooking(false);
      const known = error.status === 404 ? "join.unknown" : `error.${error.code}`;
      setProblem(has(known) ? known : "error.offline");
    }
  }

  return (
    <form onSubmit={join} className="join-form" noValidate>
      <Field label={t("join.code")} problem={problem && t(problem)}>
        {(field) => (
          <input
            {...field} className="code-input" value={code} maxLength={32} required
            autoComplete="off" autoCapitalize="characters" autoCorrect="off" spellCheck={false}
            onChange={(event) => setCode(event.target.value)}
          />
        )}
      </Field>
      <button className="button primary large" disabled={isLooking}>{t("join.go")}</button>
    </form>
  );
}

function OpenPolls() {
  const { t } = useTexts();
  const [polls, setPolls] = useState(null);
  const [isAway, setAway] = useState(false);

  useEffect(() => {
    let isWanted = true;
    let timer = null;
    async function load() {
      clearTimeout(timer);
      try {
        const page = await client.polls.list({ state: "open", page_size: 20 });
        if (isWanted) { setPolls(page.results); setAway(false); }
      } catch {
        if (isWanted) { setAway(true); timer = setTimeout(load, 3000); }
      }
    }
    // Looked at again whenever somebody comes back to the page: a thousand phones that ask by the
    // clock would be a load of their own.
    load();
    window.addEventListener("focus", load);
    return () => {
      isWanted = false;
      clearTimeout(timer);
      window.removeEventListener("focus", load);
    };
  }, []);

  return (
    <section className="open-polls" aria-labelledby="open-polls">
      <h2 id="open-polls">{t("join.open")}</h2>
      {isAway && <p className="note warn" role="alert"><Icon name="alert" /> {t("trouble.away.text")}</p>}
      {polls?.length === 0 && <p className="soft">{t("join.none")}</p>}
      <ul className="poll-list">
        {(polls ?? []).map((poll) => (
          <li key={poll.id}>
            <Link className="poll-link" to={`/p/${poll.id}`}>
              <span className="poll-link-title">{poll.title}</span>
              <span className="code">{poll.join_code}</span>
            </Link>
          </li>
        ))}
      </ul>
    </section>
  );
}
