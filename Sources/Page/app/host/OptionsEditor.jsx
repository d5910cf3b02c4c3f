// The options of a draft: written, added, removed, and moved by buttons or Alt with the arrow keys.
// The focus follows what moved, and a screen reader hears where it went.
import { useLayoutEffect, useRef, useState } from "react";
import { Icon } from "../parts/Icon.jsx";
import { Problem } from "../parts/Field.jsx";
import { useTexts } from "../texts/texts.jsx";
import { letterOf } from "../vote/phase.js";
import { optionLimit, withAdded, withMoved, withOption, withoutOption } from "./draft.js";

export function OptionsEditor({ draft, onDraft, problemOf }) {
  const { t } = useTexts();
  const list = useRef(null);
  const [wantsFocus, focusOn] = useState(null);   // the key of an option
  const [said, say] = useState("");
  const { options } = draft;

  useLayoutEffect(() => {
    if (wantsFocus === null) return;
    list.current.querySelector(`[data-key="${wantsFocus}"] input`)?.focus();
    focusOn(null);
  }, [wantsFocus, options]);

  function move(index, step) {
    if (index + step < 0 || index + step >= options.length) return;
    onDraft(withMoved(draft, index, step));
    focusOn(options[index].key);
    say(t("create.moved", { place: index + step + 1, count: options.length }));
  }
  function add() {
    if (options.length >= optionLimit) return;
    const next = withAdded(draft);
    onDraft(next);
    focusOn(next.options.at(-1).key);
  }
  function remove(index) {
    onDraft(withoutOption(draft, options[index].key));
    focusOn((options[index + 1] ?? options[index - 1]).key);
    say(t("create.removed", { place: index + 1 }));
  }
  function onKey(event, index) {
    if (event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
      event.preventDefault();
      move(index, event.key === "ArrowUp" ? -1 : 1);
    } else if (event.key === "Enter" && index === options.length - 1 && options[index].text.trim()) {
      event.preventDefault();   // goes on writing instead of sending
      add();
    }
  }

  return (
    <fieldset className="options-editor" aria-describedby="options-hint">
      <legend>{t("create.options")}</legend>
      <p id="options-hint" className="hint">{t("create.optionsHint")}</p>
      <ol ref={list}>
        {options.map((option, index) => {
          const name = t("create.option", { place: index + 1 });
          const problem = problemOf(`option.${option.key}`);
          return (
            <li key={option.key} data-key={option.key}>
              <div className="option-edit">
                <span className="letter" aria-hidden="true">{letterOf(index)}</span>
                <input
                  aria-label={name} value={option.text} maxLength={255}
                  aria-invalid={problem ? true : undefined}
                  aria-describedby={problem ? `option-${option.key}` : undefined}
                  onChange={(event) => onDraft(withOption(draft, index, event.target.value))}
                  onKeyDown={(event) => onKey(event, index)}
                />
                <span className="option-tools">
                  <Tool icon="up" label={t("create.up", { name })} isOff={index === 0} onClick={() => move(index, -1)} />
                  <Tool
                    icon="down" label={t("create.down", { name })} isOff={index === options.length - 1}
                    onClick={() => move(index, 1)}
                  />
                  <Tool
                    icon="close" label={t("create.remove", { name })} isOff={options.length <= 2}
                    onClick={() => remove(index)}
                  />
                </span>
              </div>
              {problem && <Problem id={`option-${option.key}`}>{problem}</Problem>}
            </li>
          );
        })}
      </ol>
      <button type="button" className="button" disabled={options.length >= optionLimit} onClick={add}>
        <Icon name="plus" /> {t("create.add")}
      </button>
      <p className="only-spoken" aria-live="polite">{said}</p>
    </fieldset>
  );
}

function Tool({ icon, label, isOff, onClick }) {
  return (
    <button type="button" className="tool" aria-label={label} title={label} disabled={isOff} onClick={onClick}>
      <Icon name={icon} />
    </button>
  );
}
