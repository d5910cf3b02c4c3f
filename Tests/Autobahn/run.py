"""Starts a gateway with an echo for the Autobahn test suite, and judges what it reports: `wstest`
itself ends with 0 whatever it finds."""

import collections
import datetime
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "EndToEnd"))

from gateway import Gateway, limits  # noqa: E402

CORE = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"]
LIMITS = ["9.*"]
PARAMETERS = [(section, n) for section, count in ((12, 5), (13, 7)) for n in range(1, count + 1)]
# Of each set of parameters the smaller messages: with those of 128 KiB, a thousand in each case,
# the suite's own compression takes an hour.
COMPRESSION = [f"{section}.{n}.{size}" for section, n in PARAMETERS for size in range(1, 7)]
# Of the larger ones some, other ones each day.
LARGER = [f"{section}.{n}.{size}" for size in range(7, 19) for section, n in PARAMETERS]
LARGER_A_DAY = 8


def larger_today() -> list[str]:
    first = datetime.date.today().toordinal() * LARGER_A_DAY % len(LARGER)
    return LARGER[first : first + LARGER_A_DAY]


# A close may be late, or of the other kind, where the suite says that both are allowed.
GOOD = {"OK", "NON-STRICT", "INFORMATIONAL"}


def main(build: Path, cases: list[str]) -> int:
    reports = build / "reports"
    shutil.rmtree(reports, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        gateway = Gateway(
            Path(folder), "--ws-echo", "--compress-above", "0",
            *limits(message="16MiB", fragments=1 << 20, outbox="64MiB"),
        ).start()  # fmt: skip
        try:
            spec = Path(folder) / "spec.json"
            spec.write_text(json.dumps({
                "outdir": str(reports.resolve()),
                "servers": [{"agent": "PollStream", "url": f"{gateway.websocket_url}/ws/echo/"}],
                "cases": cases, "exclude-cases": [], "exclude-agent-cases": {},
            }))  # fmt: skip
            with (build / "wstest.log").open("w") as log:
                subprocess.run(
                    [build / "python/bin/wstest", "-m", "fuzzingclient", "-s", spec],
                    cwd=folder, stdout=log, stderr=log, check=True,
                )  # fmt: skip
            gateway.stop()
        finally:
            gateway.discard()
    results = json.loads((reports / "index.json").read_text())["PollStream"]
    outcomes = collections.Counter(result["behavior"] for result in results.values())
    bad = {case: result for case, result in results.items()
           if not {result["behavior"], result["behaviorClose"]} <= GOOD}  # fmt: skip
    for case, result in bad.items():
        print(f"{case}: {result['behavior']}, close {result['behaviorClose']}, "
              f"see {reports}/{result['reportfile']}")  # fmt: skip
    print(", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common()))
    print(f"{len(results) - len(bad)} passed, {len(bad)} failed")
    return 0 if results and not bad else 1


if __name__ == "__main__":
    usual = CORE + LIMITS + COMPRESSION + larger_today()
    sys.exit(main(Path(sys.argv[1]).resolve(), sys.argv[2:] or usual))
