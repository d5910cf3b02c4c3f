"""Where the gateways under test keep their polls: $POLLSTREAM_TEST_STORE, `sqlite` (a file for
each) or `postgres` (a database for each, on one private server)."""

import contextlib
import os
import sqlite3
from pathlib import Path

KIND = os.environ.get("POLLSTREAM_TEST_STORE", "sqlite")

_server = None


class SQLiteFile:
    """A file in the gateway's own folder."""

    def __init__(self, folder: Path):
        self.path = Path(folder) / "pollstream.db"
        self.uri = f"sqlite:{self.path}"

    def stored_ballots(self) -> int:
        with contextlib.closing(
            sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=10)
        ) as connection:
            return connection.execute("SELECT count(*) FROM ballots").fetchone()[0]

    @contextlib.contextmanager
    def stalled(self):
        """Holds SQLite's one write lock, writing nothing."""
        connection = sqlite3.connect(self.path, timeout=10, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield
        finally:
            connection.close()


def new(folder: Path):
    """A store for a gateway that nobody told which to use."""
    global _server
    if KIND == "sqlite":
        return SQLiteFile(folder)
    from postgres import Server

    _server = _server or Server(fsync="off", max_connections="300")
    return _server.create_database()


def close():
    if _server is not None:
        _server.remove()
