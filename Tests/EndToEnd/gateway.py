"""One real gateway process on free ports, and the calls a test makes on it."""

import collections
import contextlib
import datetime
import os
import re
import signal
import subprocess
import threading
import time
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path

import requests

import described
import stores

REPOSITORY = Path(__file__).resolve().parents[2]
START_SECONDS = 20
STOP_SECONDS = 20
ANSWER_SECONDS = 15

# The names `pollstream serve --help` lists, by the words the tests use.
LIMITS = {
    "request_line": "request-line-bytes",
    "head": "head-bytes",
    "fields": "header-fields",
    "body": "body-bytes",
    "message": "message-bytes",
    "fragments": "message-fragments",
    "subscriptions": "subscriptions",
    "outbox": "outbox-bytes",
    "header_timeout": "header-timeout",
    "body_timeout": "body-timeout",
    "idle_timeout": "idle-timeout",
    "close_timeout": "close-timeout",
    "ping_period": "ping-period",
    "proxy_timeout": "proxy-timeout",
    "tls_timeout": "tls-timeout",
    "connections": "connections",
    "buffer_bytes": "buffer-bytes",
    "connections_per_address": "connections-per-address",
    "waiting_ballots": "waiting-ballots",
    "commit_timeout": "commit-timeout",
}


def limits(**values) -> list[str]:
    """`limits(body=1000, ping_period="500ms")` as arguments of the command line."""
    return [
        word for name, value in values.items() for word in ("--limit", f"{LIMITS[name]}={value}")
    ]


def binary() -> str:
    """The program under test: $POLLSTREAM_BINARY, else the newest build."""
    if chosen := os.environ.get("POLLSTREAM_BINARY"):
        return str(Path(chosen).resolve())
    builds = [REPOSITORY / ".build" / kind / "pollstream" for kind in ("debug", "release")]
    built = [path for path in builds if path.exists()]
    if not built:
        raise FileNotFoundError("no pollstream: run `swift build`, or set POLLSTREAM_BINARY")
    return str(max(built, key=lambda path: path.stat().st_mtime))


def clean_environment(extra=None) -> dict[str, str]:
    """The environment without settings of the gateway, then `extra`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("POLLSTREAM_")}
    return kept | (extra or {})


def run_to_end(*arguments, environment=None, folder=None, under=()) -> subprocess.CompletedProcess:
    """Runs `pollstream ARGUMENTS`, which must end by itself, and returns its code and output."""
    return subprocess.run(
        [*under, binary(), *map(str, arguments)],
        env=clean_environment(environment),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=START_SECONDS,
    )


def in_the_future(**delta) -> str:
    """A moment as the API writes it: `in_the_future(hours=1)`."""
    moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(**delta)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def eventually(condition, seconds: float = 20):
    """Returns once the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "never came true"
        time.sleep(0.05)


@contextlib.contextmanager
def meanwhile(call, every: float):
    """Makes a call again and again in a thread, with a rest of so many seconds before each."""
    over = threading.Event()

    def repeat():
        while not over.wait(every):
            call()

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


class Poll:
    """A poll that a test made: what the answer to `POST /polls/` said."""

    def __init__(self, body: dict):
        self.body = body
        self.id: int = body["id"]
        self.host_key: str = body["host_key"]
        self.options: list[int] = [option["id"] for option in body["options"]]
        self.path = f"/polls/{self.id}/"


class Gateway:
    """`pollstream serve` in a folder of its own. `start` returns once it says where it listens;
    `up` is set while it does. With `authority`, a `tls.Authority`, clients speak TLS and believe
    what it has signed, for the host "localhost"."""

    def __init__(self, folder: Path, *arguments, environment=None, without=(), store=None,
                 authority=None, under=()):  # fmt: skip
        self.under = list(under)  # what the command line begins with, such as `prlimit`
        self.folder = Path(folder)
        self.authority = authority
        self.store = store or stores.new(self.folder)
        options = {
            "--listen": "127.0.0.1:0",
            "--ops-listen": "127.0.0.1:0",
            "--database": self.store.uri,
        }
        self.arguments = [
            word for name, value in options.items() if name not in without for word in (name, value)
        ] + [str(argument) for argument in arguments]
        self.expects_ops = "off" not in self.arguments
        self.environment = clean_environment(environment)
        self.log = collections.deque(maxlen=2000)
        self.up = threading.Event()
        self.reads_log = threading.Event()
        self.reads_log.set()
        self.process: subprocess.Popen | None = None

    # The process

    def start(self) -> "Gateway":
        self.url = self.ops_url = None
        ready = threading.Event()
        self.process = subprocess.Popen(
            [*self.under, binary(), "serve", *self.arguments],
            env=self.environment,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        self._reader = threading.Thread(
            target=self._read_log, args=(self.process, ready), daemon=True
        )
        self._reader.start()
        ready.wait(START_SECONDS)
        if self.url is None or (self.expects_ops and self.ops_url is None):
            self.process.kill()
            code = self.process.wait()
            raise AssertionError(f"the gateway did not start (exit {code}):\n{self.log_text()}")
        host, port = self.url.partition("://")[2].rsplit(":", 1)
        self.reach_at(host, int(port))
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = self.verify
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.up.set()
        return self

    def reach_at(self, host: str, port: int):
        """Where calls go: to the gateway itself unless told otherwise."""
        self.address = (host, port)
        scheme = self.url.partition("://")[0]
        # As a certificate names it.
        self.url = f"{scheme}://{host if self.authority is None else 'localhost'}:{port}"
        self.websocket_url = self.url.replace("http", "ws", 1)

    @property
    def verify(self) -> str | bool:
        """What PyPI `requests` takes by this name."""
        return True if self.authority is None else str(self.authority.certificate)

    def _read_log(self, process: subprocess.Popen, ready: threading.Event):
        for line in process.stderr:
            self.log.append(line)
            self.reads_log.wait()
            if found := re.search(r"listening on (https?://[^\s\"]+)", line):
                self.url = self.url or found[1]
            if found := re.search(r"ops on (http://[^\s\"]+)", line):
                self.ops_url = found[1]
            if self.url and (self.ops_url or not self.expects_ops):
                ready.set()
        process.stderr.close()
        ready.set()

    def log_text(self, lines: int = 100) -> str:
        return "".join(list(self.log)[-lines:])

    def wait_for_line(self, *words: str, seconds: float = ANSWER_SECONDS) -> str:
        """The first line of the log that has all of these words."""
        deadline = time.monotonic() + seconds
        while True:
            for line in list(self.log):
                if all(word in line for word in words):
                    return line
            assert time.monotonic() < deadline, self.log_text()
            time.sleep(0.02)

    def terminate(self):
        """Sends SIGTERM and returns at once."""
        self.up.clear()
        self.process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float = STOP_SECONDS) -> int:
        """The exit code, once the process has ended."""
        code = self.process.wait(seconds)
        self.up.clear()
        self._reader.join(5)
        return code

    def stop(self):
        """SIGTERM; the drain must end with 0."""
        self.terminate()
        code = self.wait()
        assert code == 0, f"exit {code} after SIGTERM"

    def kill(self, how: signal.Signals = signal.SIGKILL):
        """SIGKILL: the crash that leaves no time for anything."""
        self.up.clear()
        self.process.send_signal(how)
        self.process.wait(STOP_SECONDS)
        self._reader.join(5)

    def discard(self):
        """Ends what a test left running, and says if it had died of itself."""
        if self.process is None or not self.up.is_set():
            if self.process is not None and self.process.poll() is None:
                self.kill()
            return
        code = self.process.poll()
        self.kill()
        assert code is None, f"the gateway died with {code}:\n{self.log_text()}"

    def resident_bytes(self) -> int:
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    # HTTP

    def call(self, method: str, path: str, *, token=None, headers=None, **options):
        """One request without cookies, redirects or proxies; `token` travels as Bearer."""
        headers = dict(headers or {})
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        options.setdefault("timeout", ANSWER_SECONDS)
        options.setdefault("allow_redirects", False)
        answer = self._session.request(method, self.url + path, headers=headers, **options)
        if not options.get("stream"):
            for each in (*answer.history, answer):
                described.check_answer(each)
        return answer

    def get(self, path: str, **options):
        return self.call("GET", path, **options)

    def post(self, path: str, **options):
        return self.call("POST", path, **options)

    def ops(self, method: str, path: str):
        return requests.request(
            method, self.ops_url + path, timeout=ANSWER_SECONDS, proxies={"http": ""}
        )

    @contextlib.contextmanager
    def alive(self, seconds: float = 2):
        """Meanwhile the process says in so much time that it lives, and whether it is ready. Twice
        what is promised: machines under test are busy."""
        slow = []

        def look():
            for path, statuses in (("/livez", {200}), ("/readyz", {200, 503})):
                began = time.monotonic()
                status = self.ops("GET", path).status_code
                if status not in statuses or time.monotonic() - began > seconds:
                    slow.append((path, status, time.monotonic() - began))

        with meanwhile(look, every=0.1):
            yield
        assert not slow, slow

    def create_poll(self, options=("Yes", "No"), **fields) -> Poll:
        body = {"title": "Which way?", "options": list(options)} | fields
        answer = self.post("/polls/", json=body)
        assert answer.status_code == 201, answer.text
        return Poll(answer.json())

    def vote(self, poll: Poll, choice, voter=None, *, token=None, headers=None):
        """Casts a ballot; `choice` counts options from 0, a list of them marks several."""
        body = {"poll_id": poll.id}
        if isinstance(choice, int):
            body["option_id"] = poll.options[choice]
        else:
            body["option_ids"] = [poll.options[index] for index in choice]
        if voter is not None:
            body["voter"] = voter
        return self.post("/votes/", json=body, token=token, headers=headers)

    def cast(self, poll: Poll, choice, voter: str) -> dict:
        """Casts a ballot that must be counted, and returns the answer's body."""
        answer = self.vote(poll, choice, voter)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def poll(self, poll: Poll, token=None) -> dict:
        return self._json(self.get(poll.path, token=token))

    def results(self, poll: Poll, token=None) -> dict:
        return self._json(self.get(poll.path + "results/", token=token))

    def audit(self, poll: Poll) -> dict:
        return self._json(self.get(poll.path + "audit/", token=poll.host_key))

    def ballots_csv(self, poll: Poll) -> str:
        answer = self.get(poll.path + "ballots/", token=poll.host_key)
        assert answer.status_code == 200, answer.text
        return answer.content.decode()

    def open(self, poll: Poll) -> dict:
        return self._json(self.post(poll.path + "open/", token=poll.host_key))

    def close(self, poll: Poll) -> dict:
        return self._json(self.post(poll.path + "close/", token=poll.host_key))

    @staticmethod
    def _json(answer) -> dict:
        assert answer.status_code == 200, f"{answer.status_code} {answer.text}"
        return answer.json()

    # SQL

    @property
    def database(self) -> Path:
        """The file, for tests of embedded storage."""
        return self.store.path

    def stored_ballots(self) -> int:
        """The rows of `ballots`, all polls together, as the database holds them."""
        return self.store.stored_ballots()

    def storage_stalled(self):
        """A context in which no commit gets through."""
        return self.store.stalled()
