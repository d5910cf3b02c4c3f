// Texts in the reader's language. Each language is one file with the same keys; a text may hold
// `{name}` placeholders, and be an object of plural forms picked by `count`.
import { createContext, useContext, useEffect, useMemo, useState } from "react";
import { recall, remember } from "../storage.js";
import de from "./de.json";
import en from "./en.json";

const languages = { en, de };
export const languageNames = { en: "English", de: "Deutsch" };

function preferredLanguage() {
  const chosen = recall("language");
  if (languages[chosen]) return chosen;
  const wanted = (navigator.languages ?? [navigator.language]).map((tag) => tag.slice(0, 2));
  return wanted.find((tag) => languages[tag]) ?? "en";
}

// The functions that screens speak with.
export function makeTexts(language) {
  const texts = languages[language];
  const numbers = new Intl.NumberFormat(language);
  const plurals = new Intl.PluralRules(language);
  const days = new Intl.NumberFormat(language, { style: "unit", unit: "day", unitDisplay: "long" });
  const times = new Intl.DateTimeFormat(language, { timeStyle: "medium" });
  const moments = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });

  function t(key, values = {}) {
    let text = texts[key];
    if (typeof text === "object") text = text[plurals.select(values.count)] ?? text.other;
    return text.replace(/\{(\w+)\}/g, (_, name) => {
      const value = values[name];
      return typeof value === "number" ? numbers.format(value) : value;
    });
  }

  return {
    language,
    t,
    has: (key) => key in texts,
    number: (value) => numbers.format(value),
    days: (count) => days.format(count),
    clock: (time) => times.format(time),
    moment: (time) => moments.format(time),
    percent: (share) => `${numbers.format(Math.round(share * 100))} %`,
  };
}

const Texts = createContext(null);

export function TextsProvider({ children }) {
  const [language, choose] = useState(preferredLanguage);
  const texts = useMemo(() => makeTexts(language), [language]);
  useEffect(() => { document.documentElement.lang = language; }, [language]);
  const value = useMemo(() => ({
    ...texts,
    setLanguage(wanted) {
      remember("language", wanted);
      choose(wanted);
    },
  }), [texts]);
  return <Texts.Provider value={value}>{children}</Texts.Provider>;
}

export const useTexts = () => useContext(Texts);
