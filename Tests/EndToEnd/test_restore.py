"""The restore drill of docs/upgrade-backup-restore.md, with the commands that stand there: a backup
is made under votes, restored into a new place, and a gateway is started on it."""

import csv
import io
import os
import re
import shlex
import subprocess
import threading

import pytest

import stores
from gateway import REPOSITORY, Poll
from live import Viewer
from postgres import Server
from voting import Receipts, join, names_until, start_voters

PAGE = REPOSITORY / "docs" / "upgrade-backup-restore.md"


def documented(name: str, replaced: dict[str, str]) -> str:
    """The commands of the page below `<!-- name -->`, with its places replaced by the test's."""
    found = re.search(rf"<!-- {name} -->\n```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found, f"{PAGE.name} has no commands by the name of {name}"
    commands = found[1]
    for place, replacement in replaced.items():
        assert place in commands, f"{place} is not in:\n{commands}"
        commands = commands.replace(place, shlex.quote(str(replacement)))
    return commands


def run(commands: str, folder):
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands], cwd=folder, capture_output=True, text=True,
        timeout=60, env=os.environ,
    )  # fmt: skip
    assert done.returncode == 0, f"{commands}\n{done.stdout}{done.stderr}"


@pytest.fixture
def place(tmp_path):
    """How a store is backed up, and restored into another."""
    if stores.KIND == "sqlite":
        yield SQLitePlace(tmp_path)
        return
    server = Server(fsync="off")
    yield PostgresPlace(server, tmp_path)
    server.remove()


class SQLitePlace:
    def __init__(self, folder):
        self.folder = folder
        (folder / "first").mkdir()
        (folder / "second").mkdir()
        self.original = stores.SQLiteFile(folder / "first")
        self.restored = stores.SQLiteFile(folder / "second")

    def back_up(self):
        places = {"/var/lib/pollstream/pollstream.db": self.original.path}
        run(documented("sqlite backup", places), self.folder)

    def restore(self):
        places = {"/var/lib/pollstream/pollstream.db": self.restored.path}
        run(documented("sqlite restore", places), self.folder)


class PostgresPlace:
    def __init__(self, server, folder):
        self.server, self.folder = server, folder
        self.original = server.create_database()
        self.restored = server.create_database()

    def back_up(self):
        places = {"postgres://pollstream@db.example/polls": self.original.uri}
        run(documented("postgres backup", places), self.folder)

    def restore(self):
        places = {"postgres://pollstream@new.example/polls": self.restored.uri}
        run(documented("postgres restore", places), self.folder)


@pytest.mark.timeout(120)
def test_a_restored_backup_knows_who_has_voted_and_never_goes_back(place, start_gateway):
    first = start_gateway("--admin-key", "psa_a-key-of-the-operator", store=place.original)
    poll = first_poll(first)
    receipts = Receipts()
    enough = threading.Event()
    voters = start_voters(first, poll, receipts, lambda prefix: names_until(enough, prefix), each=1)
    try:
        receipts.wait_for(300)
        before = set(receipts.having("counted"))
        place.back_up()  # votes go on meanwhile, and are answered
        receipts.wait_for(len(receipts.outcomes) + 100)
    finally:
        enough.set()
        join(voters)
    cookie = first.post("/votes/", json={"poll_id": poll.id, "option_id": poll.options[0]})
    token = cookie.json()["voter_token"]
    assert first.vote(poll, 0, token=token).status_code == 201
    with Viewer(first, f"/ws/polls/{poll.id}/") as viewer:
        newest = viewer.until("snapshot")["poll"]["revision"]
    first.stop()

    place.restore()
    second = start_gateway("--admin-key", "psa_a-key-of-the-operator", store=place.restored)

    # The tally is the ballots, and these are all that were answered before the backup began.
    audit = second.audit(poll)
    assert audit["consistent"], audit
    assert audit["total"] == audit["stored_ballots"] == second.stored_ballots()
    restored = {row["voter"] for row in csv.DictReader(io.StringIO(second.ballots_csv(poll)))}
    assert {ballot.voter for ballot in before} <= restored
    assert len(restored) == audit["total"] < len(receipts.outcomes) + 1

    # Who has voted has voted, as they were then; who came after the backup may vote again.
    some = next(iter(before))
    again = second.vote(poll, poll.options.index(some.option_id), some.voter)
    assert (again.status_code, again.json()["repeated"]) == (200, True)
    other = second.vote(poll, 1 - poll.options.index(some.option_id), some.voter)
    assert (other.status_code, other.json()["error"]["code"]) == (409, "already_voted")
    lost = next(b for b in receipts.having("counted") if b.voter not in restored)
    assert second.vote(poll, 0, lost.voter).status_code == 201

    # A cookie of then is believed: the key that signs them came along.
    assert second.vote(poll, 1, token=token).status_code == 201

    # A screen that saw the newest revision of then takes what comes now for newer.
    with Viewer(second, f"/ws/polls/{poll.id}/?since={newest}") as viewer:
        counted = viewer.until("snapshot")["poll"]
    assert counted["total_votes"] == audit["total"] + 2
    assert counted["revision"] > newest > audit["revision"]

    # The host key of then still closes it, and the count stays.
    assert second.close(poll)["total_votes"] == counted["total_votes"]
    assert second.audit(poll)["consistent"]


def first_poll(gateway):
    answer = gateway.post(
        "/polls/", token="psa_a-key-of-the-operator",
        json={"title": "Which way?", "options": ["Yes", "No"]},
    )  # fmt: skip
    assert answer.status_code == 201, answer.text
    return Poll(answer.json())


@pytest.mark.sqlite
def test_a_backup_in_place_of_a_lost_file_is_not_mixed_with_the_old_log(place, start_gateway):
    """The restore takes the old log away: one that lies beside the database belongs to another."""
    first = start_gateway(store=place.original)
    poll = first.create_poll()
    first.cast(poll, 0, "ada")
    place.back_up()
    first.cast(poll, 1, "bob")
    first.kill()
    assert place.original.path.with_name("pollstream.db-wal").stat().st_size > 0
    place.restored = place.original
    place.restore()
    second = start_gateway(store=place.original)
    assert second.results(poll)["counts"] == [1, 0]
    assert second.audit(poll)["consistent"]
