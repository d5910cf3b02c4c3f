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
        try:
            status, said = self.call(self.address, "POST", "/polls/", body=json.dumps(body))
        except OSError as error:
            raise StartFailure(f"no poll is made: {error!r}\n{self.text()}") from error
        if status != 201:
            raise StartFailure(f"no poll is made: {status} {said!r}")
        poll = json.loads(said)
        options = [option["id"] for option in poll["options"]]
        return Target(poll["id"], options, poll["host_key"], poll["join_code"])

    @staticmethod
    def call(address, method: str, path: str, *, key=None, body=None) -> tuple[int, bytes]:
        """One request on a connection of its own, as somebody with all the time in the world."""
        connection = http.client.HTTPConnection(*address, timeout=START_SECONDS)
        fields = {"Content-Type": "application/json"} if body is not None else {}
        if key is not None:
            fields["Authorization"] = f"Bearer {key}"
        try:
            connection.request(method, path, body, fields)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except http.client.HTTPException as error:
            raise ConnectionError(repr(error)) from error
        finally:
            connection.close()

    # What is left when everybody has gone

    def remains(self, own: Target, votes: int) -> str | None:
        """What should not be: of `votes` that were counted in our own poll each is stored, exports
        are free for the next, and nobody is connected or subscribed."""
        path = f"/polls/{own.id}/"
        status, said = self.call(self.address, "GET", path + "audit/", key=own.host_key)
        if status != 200:
            return f"an audit is answered {status}"
        if not json.loads(said)["consistent"]:
            return f"the audit says {said!r}"
        status, said = self.call(self.address, "GET", path + "ballots/", key=own.host_key)
        if status != 200:
            return f"an export is answered {status}"
        if (rows := said.count(b"\nwatcher ")) < votes:
            return f"{rows} of {votes} counted votes are stored"
        _, metrics = self.call(self.ops_address, "GET", "/metrics")
        for name in (r"connections\{kind=\"(?:websocket|stream)\",\S+", "subscriptions"):
            for found in re.finditer(rf"^pollstream_{name} ([1-9]\d*)$", metrics.decode(), re.M):
                return f"nobody is there any more, but {found[0]}"
        return None
