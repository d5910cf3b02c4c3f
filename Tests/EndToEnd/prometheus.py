"""The Prometheus text format, as strictly as a scraper reads it (exposition format 0.0.4)."""

import re

_SAMPLE = re.compile(
    r"^([a-zA-Z_:][a-zA-Z0-9_:]*)"
    r'(\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*\})?'
    r" (NaN|[+-]?Inf|[+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)(?: -?[0-9]+)?$"
)
_KINDS = {"counter", "gauge", "histogram", "summary", "untyped"}


def parse(text: str) -> dict[str, float]:
    """Every sample by its name and labels as written; raises AssertionError on a bad line."""
    assert text.endswith("\n")
    kinds: dict[str, str] = {}
    samples: dict[str, float] = {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert kind in _KINDS and name not in kinds, line
            kinds[name] = kind
        elif line and not line.startswith("#"):
            found = _SAMPLE.match(line)
            assert found, line
            name, labels, value = found[1], found[2] or "", float(found[3])
            assert name + labels not in samples, f"twice: {line}"
            samples[name + labels] = value
            family = re.sub(r"_(bucket|sum|count)$", "", name)
            assert name in kinds or family in kinds, f"no TYPE before {line}"
            if kinds.get(name) == "counter":
                assert value >= 0, line
    return samples
