"""A private PostgreSQL server: in a temporary folder, on a free port, as an unprivileged user where
the tests run as root. It dies with the tests."""

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg
import pytest

from ports import free_port

START_SECONDS = 30


def binaries() -> Path:
    versions = [int(path.name) for path in Path("/usr/lib/postgresql").glob("[0-9]*")]
    if not versions:
        raise FileNotFoundError("no PostgreSQL: apt-get install postgresql")
    return Path(f"/usr/lib/postgresql/{max(versions)}/bin")


def unprivileged(dies: bool = True) -> list[str]:
    """The words before a command that root must not run; it may die with us, too."""
    user = ["--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []
    words = [*user, *(["--pdeathsig=KILL"] if dies else [])]
    return ["setpriv", *words] if words else []


def open_to_all(folder: Path):
    """Lets such a user read what a test has written into its folder."""
    subprocess.run(["chmod", "-R", "a+rX", folder], check=True)
    top = Path(tempfile.gettempdir())
    above = [path for path in folder.parents if top in path.parents]
    subprocess.run(["chmod", "a+X", *above], check=True)


class Server:
    """Trusts everybody who comes as `test`; `settings` as in postgresql.conf. With a `primary` it
    is that server's hot standby."""

    def __init__(self, primary: "Server | None" = None, **settings):
        self.folder = Path(tempfile.mkdtemp(prefix="pollstream-postgres-", dir="/tmp"))
        self.data = self.folder / "data"
        self.log = self.folder / "log"
        self.port = free_port()
        self.settings = {"listen_addresses": "127.0.0.1", **settings}
        self.process: subprocess.Popen | None = None
        self._numbers = itertools.count()
        if os.geteuid() == 0:
            shutil.chown(self.folder, "nobody", "nogroup")
        if primary is None:
            self._run(
                "initdb", "-D", self.data, "-U", "test", "-A", "trust", "-E", "UTF8",
                "--locale=C.UTF-8", "--no-sync",
            )  # fmt: skip
        else:
            self._run(
                "pg_basebackup", "-d", primary.uri("postgres"), "-D", self.data, "-R", "--no-sync",
                "--checkpoint=fast",
            )  # fmt: skip
        self.start()

    # The process

    def _command(self, program, *arguments, dies=False) -> list[str]:
        return [*unprivileged(dies), str(binaries() / program), *map(str, arguments)]

    def _run(self, program, *arguments):
        done = subprocess.run(
            self._command(program, *arguments), capture_output=True, text=True, cwd="/"
        )
        assert done.returncode == 0, done.stderr

    def start(self):
        options = [word for item in self.settings.items() for word in ("-c", "=".join(item))]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                self._command(
                    "postgres", "-D", self.data, "-k", self.folder, "-p", self.port, *options,
                    dies=True,
                ),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
            )  # fmt: skip
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                psycopg.connect(self.uri("postgres"), connect_timeout=2).close()
                return
            except psycopg.OperationalError:
                assert time.monotonic() < deadline, self.log.read_text()
                time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT):
        """SIGINT is a fast stop, SIGQUIT an immediate one, SIGKILL a crash."""
        children = self.sessions()
        self.process.send_signal(how)
        self.process.wait(START_SECONDS)
        # After a crash the sessions notice by themselves, and leave the shared memory alone.
        deadline = time.monotonic() + START_SECONDS
        while any(Path(f"/proc/{pid}").exists() for pid in children):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        if how == signal.SIGKILL:
            (self.data / "postmaster.pid").unlink(missing_ok=True)

    def promote(self):
        """Makes a standby a server of its own."""
        self._run("pg_ctl", "promote", "-D", self.data, "-w", "-t", START_SECONDS)

    def sessions(self) -> list[int]:
        """The processes of the server below its first."""
        found = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(word) for word in found.split()]

    @contextlib.contextmanager
    def frozen(self):
        """SIGSTOP to all of it: connections stay, nobody answers."""
        processes = [self.process.pid, *self.sessions()]
        for pid in processes:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in processes:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def remove(self):
        if self.process is not None and self.process.poll() is None:
            self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    # Databases

    def uri(self, database: str, port: int | None = None, user: str = "test") -> str:
        return f"postgres://{user}@127.0.0.1:{port or self.port}/{database}"

    def connect(self, database: str = "postgres", **options) -> psycopg.Connection:
        return psycopg.connect(self.uri(database), autocommit=True, **options)

    def execute(self, sql: str, database: str = "postgres"):
        with self.connect(database) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def create_database(self) -> "Database":
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return Database(self, name)


def server_fixture(scope="module", **settings):
    """A fixture: a server for all tests of that scope."""

    @pytest.fixture(scope=scope)
    def server():
        server = Server(**settings)
        yield server
        server.remove()

    return server


class Database:
    """One database, as a store of a gateway."""

    def __init__(self, server: Server, name: str):
        self.server = server
        self.name = name
        self.uri = server.uri(name)

    def execute(self, sql: str):
        return self.server.execute(sql, self.name)

    def stored_ballots(self) -> int:
        return self.execute("SELECT count(*) FROM pollstream.ballots")[0][0]

    @contextlib.contextmanager
    def stalled(self):
        """Keeps everybody from writing ballots, writing nothing."""
        with self.server.connect(self.name) as connection, connection.transaction():
            connection.execute("LOCK TABLE pollstream.ballots IN SHARE MODE")
            yield
