"""What a PostgreSQL server refuses, and whom it lets wait."""

import contextlib
import os
import signal
import subprocess
import threading
import time

import psycopg
import pytest

import test_postgres_faults
from answers import refused
from fault_proxy import commits, ends_large_copy
from gateway import limits
from postgres import Server, server_fixture
from test_invariants import check_books
from test_postgres_faults import (
    through,
    vote_at_once,
    wait_until_ready,
)
from voting import (
    Receipts,
    ballots_for,
    cast_over_websocket,
    in_threads,
    join,
)

pytestmark = [pytest.mark.postgres, pytest.mark.takes(30)]


# Fixtures.
server, steady = server_fixture("function"), test_postgres_faults.steady
proxy, database = test_postgres_faults.proxy, test_postgres_faults.database


def test_a_full_disk_loses_nothing_and_is_recovered_from(server, start_gateway, tmp_path):
    """A small disk for ballots alone: what the server keeps elsewhere goes on."""
    disk = server.folder / "disk"
    disk.mkdir()
    as_root = [] if os.geteuid() == 0 else ["sudo"]
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m,mode=777", "tmpfs", disk]
    subprocess.run([*as_root, *mount], check=True)
    try:
        space = disk / "space"
        space.mkdir()
        subprocess.run(["chown", "--reference", server.data, space], check=True)
        server.execute(f"CREATE TABLESPACE small LOCATION '{space}'")
        database = server.create_database()
        gateway = start_gateway(store=database)
        poll = gateway.create_poll()
        database.execute("ALTER TABLE pollstream.ballots SET TABLESPACE small")
        database.execute("ALTER INDEX pollstream.ballots_pkey SET TABLESPACE small")
        assert len(vote_at_once(gateway, poll, (f"a{n}" for n in range(500))).outcomes) == 500
        ballast = disk / "ballast"
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while file.write(bytes(1 << 16)):
                pass
        refusals = 0
        for number in range(2_000):
            answer = gateway.vote(poll, 0, f"full {number}", headers={"Prefer": "respond-async"})
            refusals += answer.status_code == 503
        assert gateway.vote(poll, 0, "sync").status_code in (503, 504)
        assert gateway.ops("GET", "/readyz").status_code == 503
        lost = [line for line in gateway.log if "storage for ballots lost" in line]
        assert len(lost) == 1, "said once"
        ballast.unlink()
        wait_until_ready(gateway)
        assert gateway.vote(poll, 0, "sync").status_code in (200, 201)
        assert gateway.results(poll)["total"] == gateway.stored_ballots()
        assert gateway.audit(poll)["consistent"] is True
    finally:
        server.stop(signal.SIGQUIT)
        subprocess.run([*as_root, "umount", disk], check=True)


def test_a_read_only_server_takes_no_ballot_until_it_is_writable(database, start_gateway):
    gateway = start_gateway(store=database)
    poll = gateway.create_poll()
    gateway.cast(poll, 0, "first")

    def make(read_only: str):
        database.execute(
            f"ALTER DATABASE {database.name} SET default_transaction_read_only = {read_only}"
        )
        with database.server.connect("postgres") as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                [database.name],
            )

    make("on")
    for name in ("ada", "bob"):
        assert gateway.vote(poll, 0, name).status_code in (503, 504)
    assert gateway.ops("GET", "/readyz").status_code == 503
    with database.server.connect("postgres") as connection:
        connection.execute(f"ALTER DATABASE {database.name} RESET default_transaction_read_only")
    wait_until_ready(gateway)
    assert gateway.vote(poll, 0, "ada").status_code in (200, 201)
    results = gateway.results(poll)
    assert results["total"] == gateway.stored_ballots()


def test_a_table_that_is_gone_refuses_ballots_until_it_is_back(database, start_gateway):  # I17
    gateway = start_gateway(*limits(commit_timeout="2s"), store=database)
    poll = gateway.create_poll()
    gateway.cast(poll, 0, "first")
    database.execute("ALTER TABLE pollstream.ballots RENAME TO elsewhere")
    for name in ("ada", "bob"):
        refused(gateway.vote(poll, 0, name), 503, "storage_unavailable")
    gateway.wait_for_line("pollstream.ballots", "does not exist")
    database.execute("ALTER TABLE pollstream.elsewhere RENAME TO ballots")
    wait_until_ready(gateway)
    gateway.cast(poll, 0, "ada")
    assert gateway.results(poll)["total"] == 2 == gateway.stored_ballots()


def test_a_database_that_is_not_there_is_waited_for(steady, database, start_gateway):  # I17
    database.uri = steady.uri("made_later")
    gateway = start_gateway(store=database)
    gateway.wait_for_line("made_later", "does not exist")
    assert gateway.ops("GET", "/readyz").status_code == 503
    steady.execute("CREATE DATABASE made_later")
    wait_until_ready(gateway)
    gateway.cast(gateway.create_poll(), 0, "ada")


@pytest.mark.timeout(120)
def test_a_server_without_free_connections_is_asked_once_a_second(start_gateway):
    server = Server(max_connections="20", superuser_reserved_connections="3", log_connections="on")
    try:
        server.execute("CREATE ROLE plain LOGIN CREATEROLE; GRANT ALL ON SCHEMA public TO plain")
        database = server.create_database()
        database.server.execute(f"ALTER DATABASE {database.name} OWNER TO plain")
        database.uri = server.uri(database.name, user="plain")
        gateway = start_gateway(store=database)
        poll = gateway.create_poll()
        gateway.cast(poll, 0, "first")
        guests = []
        with contextlib.suppress(psycopg.OperationalError):
            while True:
                guests.append(psycopg.connect(server.uri("postgres", user="plain")))
        server.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            f" WHERE datname = '{database.name}'"
        )
        with contextlib.suppress(psycopg.OperationalError):
            while True:
                guests.append(psycopg.connect(server.uri("postgres", user="plain")))
        began, already = time.monotonic(), server.log.read_text().count("remaining connection")
        assert gateway.vote(poll, 0, "ada").status_code in (503, 504)
        time.sleep(3)
        said = server.log.read_text().count("remaining connection") - already
        assert said <= time.monotonic() - began + 2
        for guest in guests:
            guest.close()
        wait_until_ready(gateway)
        assert gateway.vote(poll, 0, "ada").status_code in (200, 201)
        assert gateway.results(poll)["total"] == 2 == gateway.stored_ballots()
    finally:
        server.remove()


def make_trouble(database, sql_state: str, often: float):
    """Fails that part of the attempts to store ballots; each is counted by a sequence."""
    database.execute(
        f"""
        CREATE SEQUENCE attempts;
        CREATE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            PERFORM nextval('attempts');
            IF random() < {often} THEN
                RAISE EXCEPTION 'trouble' USING ERRCODE = '{sql_state}';
            END IF;
            RETURN new;
        END $$;
        CREATE TRIGGER trouble BEFORE UPDATE ON pollstream.tallies
            FOR EACH ROW EXECUTE FUNCTION trouble();
        """
    )


@pytest.mark.parametrize("sql_state", ["40001", "40P01"])
def test_what_no_attempt_cures_is_told_and_tried_seldom(database, start_gateway, sql_state):  # I14
    gateway = start_gateway(*limits(commit_timeout="2s"), store=database)
    poll = gateway.create_poll()
    make_trouble(database, sql_state, often=1)
    began = time.monotonic()
    refused(gateway.vote(poll, 0, "ada"), 503, "storage_unavailable")
    assert time.monotonic() - began < 2 * 2
    attempts = database.execute("SELECT last_value FROM attempts")[0][0]
    assert 4 < attempts < 100, "a few at once, then with growing pauses"
    assert gateway.ops("GET", "/readyz").status_code == 503
    database.execute("DROP TRIGGER trouble ON pollstream.tallies")
    wait_until_ready(gateway)
    gateway.cast(poll, 0, "ada")
    assert gateway.stored_ballots() == 1


@pytest.mark.parametrize("sql_state", ["40001", "40P01"])
def test_what_another_attempt_cures_is_tried_again(database, start_gateway, sql_state):
    gateway = start_gateway(store=database)
    poll = gateway.create_poll()
    make_trouble(database, sql_state, often=0.3)
    receipts = vote_at_once(gateway, poll, (f"voter {number}" for number in range(1_000)))
    assert set(receipts.outcomes.values()) == {"counted"}
    check_books(gateway, poll, receipts)


def test_a_transaction_left_open_by_a_gateway_keeps_others_no_longer_than_its_limit(
    database, proxy, start_gateway
):
    """As a gateway that is stopped between two messages of a change to a poll."""
    other = start_gateway(store=database)
    poll = other.create_poll()
    frozen = start_gateway(store=through(database, proxy))
    proxy.once(commits, "hold")
    change = threading.Thread(
        target=lambda: frozen.call("PATCH", poll.path, token=poll.host_key, json={"title": "Held"})
    )
    change.start()
    assert proxy.happened.wait(10)
    began = time.monotonic()
    while other.vote(poll, 0, "ada").status_code not in (200, 201):
        assert time.monotonic() - began < 10
    assert time.monotonic() - began < 2 * 2
    proxy.release.set()
    change.join()


def test_a_gateway_stopped_in_the_middle_of_a_copy_keeps_others_no_longer_than_its_limit(
    database, proxy, start_gateway
):
    """The same voters through another gateway, while more of their ballots than a server buffers
    stand in a COPY that does not end."""
    other = start_gateway(store=database)
    poll = other.create_poll()
    frozen = start_gateway(store=through(database, proxy))
    frozen.cast(poll, 0, "warm")
    names = [f"voter {number}" for number in range(4_000)]
    proxy.once(ends_large_copy(), "hold")
    receipts = Receipts()
    with database.stalled():
        voters = in_threads(
            *(
                (cast_over_websocket, frozen, poll, ballots_for(poll, names[part::16]), receipts,
                 256)
                for part in range(16)
            )
        )  # fmt: skip
        time.sleep(0.5)
    assert proxy.happened.wait(10)
    frozen.process.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    again = vote_at_once(other, poll, names[:64], sockets=1)
    assert time.monotonic() - began < 2 * 2
    assert len(again.outcomes) == 64
    assert any("cut off silent gateways" in line for line in other.log)
    metrics = other.ops("GET", "/metrics").text
    assert "pollstream_store_cut_off_sessions_total 1" in metrics
    frozen.process.send_signal(signal.SIGCONT)
    proxy.release.set()
    join(voters)
    assert frozen.results(poll)["total"] == 4_001 == other.stored_ballots()
    assert other.audit(poll)["consistent"] is True
