"""A gateway that was built with a sanitizer, and what its log says of it."""

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

from seeds import Site, Target

# A sanitized binary on a busy machine is slow to start and slow to drain.
START_SECONDS = 180
STOP_SECONDS = 180
# From the last connection's end to that of a process that writes a report, or a core.
END_SECONDS = 30

# What the sanitizers, and Swift's own traps, begin a report with.
REPORT = re.compile(
    r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|Sanitizer:DEADLYSIGNAL"
    r"|runtime error: |Fatal error: "
)


class StartFailure(Exception):
    """The gateway does not listen; says what it said instead."""


class GatewayProcess:
    """`BINARY serve` in `folder`, on embedded SQLite, at `address` and `ops_address`."""

    def __init__(self, binary: str, folder: Path):
        self.log = folder / "log"
        kept = {name: text for name, text in os.environ.items() if "POLLSTREAM_" not in name}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [binary, "serve", "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0",
                 "--database", f"sqlite:{folder / 'pollstream.db'}", "--proxy-protocol", "optional",
                 "--loops", "2", "--compress-above", "256", "--ws-echo", "--drain", "5s",
                 # Answered late is no finding of ours unless the watcher waits too long.
                 "--limit", "commit-timeout=10min"],
                cwd=folder, env=kept | {"SWIFT_BACKTRACE": "enable=no"},
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log,
            )  # fmt: skip
        try:
            self.address, self.ops_address = self._wait_for_addresses()
        except StartFailure:
            self.kill()
            raise

    def _wait_for_addresses(self):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            said = self.text()
            found = [re.search(rf"^{what} http://([\d.]+):(\d+)$", said, re.M)
                     for what in ("listening on", "ops on")]  # fmt: skip
            if all(found):
                return [(each[1], int(each[2])) for each in found]
            time.sleep(0.05)
        raise StartFailure(self.text())

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def failure(self) -> str | None:
        """A sanitizer's report, or the end of the process; None while all is well."""
        code = self.process.poll()
        if found := REPORT.search(self.text()):
            return f"a report: {self.text()[found.start() :][:4000]}"
        return None if code is None else f"the process is gone: exit {code}\n{self.text()[-2000:]}"

    def last_words(self) -> str | None:
        """The same, where a connection has just ended and the process may be about to."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(END_SECONDS)
        return self.failure()

    def stop(self) -> str | None:
        """SIGTERM. What is wrong with how it ended, else None."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            return f"it does not stop within {STOP_SECONDS} s of SIGTERM"
        if code == 0 and REPORT.search(self.text()) is None:
            return None
        return self.failure()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    # What a session is about

    def make_site(self) -> tuple[Site, Target]:
        """The polls of the sessions, and one for the watcher alone."""
        kinds = [
            {}, {"change_vote": True}, {"kind": "multiple", "change_vote": True},
            {"results": "after_vote"}, {"results": "after_close"},
            {"options": [f"option {number} of twenty" for number in range(20)]},
            {"starts_at": "2090-01-01T00:00:00Z"},
        ]  # fmt: skip
        opened = [self._create(**fields) for fields in kinds]
        hosted = [self._create() for _ in range(60)]
        return Site(opened, hosted), self._create(title="the watcher's")

    def _create(self, **fields) -> Target:
        body = {"title": "Which way?", "options": ["Left", "Right", "Back"]} | fields
        connection = http.client.HTTPConnection(*self.address, timeout=START_SECONDS)
        try:
            connection.request(
                "POST", "/polls/", json.dumps(body), {"Content-Type": "application/json"}
            )
            answer = connection.getresponse()
            said = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise StartFailure(f"no poll is made: {error!r}\n{self.text()}") from error
        finally:
            connection.close()
        if answer.status != 201:
            raise StartFailure(f"no poll is made: {answer.status} {said!r}")
        poll = json.loads(said)
        options = [option["id"] for option in poll["options"]]
        return Target(poll["id"], options, poll["host_key"], poll["join_code"])
