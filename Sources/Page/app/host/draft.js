// A poll that is being written: its form's state, what is wrong with it, and what the gateway is
// sent. Pure, so that form and preview agree.
import { toUTC } from "./localTime.js";

export const optionLimit = 20;

let lastKey = 0;
export const newOption = (text = "") => ({ key: (lastKey += 1), text });

export const emptyDraft = () => ({
  title: "", description: "", options: [newOption(), newOption()],
  kind: "single", maxChoices: "", results: "live", changeVote: false, askName: false,
  startsAt: "", endTime: "",
});

export const withOption = (draft, index, text) => ({
  ...draft,
  options: draft.options.map((option, at) => (at === index ? { ...option, text } : option)),
});

export const withMoved = (draft, index, step) => {
  const options = [...draft.options];
  const [option] = options.splice(index, 1);
  options.splice(index + step, 0, option);
  return { ...draft, options };
};

export const withAdded = (draft) => ({ ...draft, options: [...draft.options, newOption()] });

export const withoutOption = (draft, key) => ({
  ...draft, options: draft.options.filter((option) => option.key !== key),
});

const filled = (draft) => draft.options.map((option) => option.text.trim()).filter(Boolean);

// `{field: key of a text}`, in the order of the form; the option that is wrong is `option.{key}`.
export function problemsOf(draft, now) {
  const problems = {};
  if (!draft.title.trim()) problems.title = "create.problem.title";
  const seen = new Set();
  for (const option of draft.options) {
    const text = option.text.trim();
    if (text && seen.has(text)) problems[`option.${option.key}`] = "create.problem.same";
    seen.add(text);
  }
  if (filled(draft).length < 2) {
    const empty = draft.options.find((option) => !option.text.trim());
    if (empty) problems[`option.${empty.key}`] = "create.problem.few";
  }
  if (draft.kind === "multiple" && draft.maxChoices !== "") {
    const most = Number(draft.maxChoices);
    if (!Number.isInteger(most) || most < 1 || most > filled(draft).length) {
      problems.max_choices = "create.problem.max";
    }
  }
  const [start, end] = [toUTC(draft.startsAt), toUTC(draft.endTime)];
  if (end && Date.parse(end) <= now) problems.end_time = "create.problem.end_past";
  else if (start && end && end <= start) problems.end_time = "create.problem.end_first";
  return problems;
}

// What `POST /polls/` takes. Empty options are left out: they were never written.
export function bodyOf(draft) {
  const body = {
    title: draft.title.trim(), description: draft.description.trim(), options: filled(draft),
    kind: draft.kind, results: draft.results, change_vote: draft.changeVote, ask_name: draft.askName,
  };
  if (draft.kind === "multiple" && draft.maxChoices !== "") body.max_choices = Number(draft.maxChoices);
  if (toUTC(draft.startsAt)) body.starts_at = toUTC(draft.startsAt);
  if (toUTC(draft.endTime)) body.end_time = toUTC(draft.endTime);
  return body;
}

// The draft as a poll that nobody has voted in, for the preview.
export function previewOf(draft, placeholder) {
  const body = bodyOf(draft);
  return {
    id: 0, ...body,
    title: body.title || placeholder.title,
    options: draft.options.map((option, index) => ({
      id: option.key, text: option.text.trim() || placeholder.option(index), vote_count: 0,
    })),
    max_choices: body.max_choices ?? Math.max(body.options.length, 2),
    state: body.starts_at ? "scheduled" : "open",
    total_votes: body.results === "live" ? 0 : null,
  };
}
