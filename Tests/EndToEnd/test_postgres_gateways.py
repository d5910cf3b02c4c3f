"""Several gateways on one PostgreSQL database, and what lies between a gateway and its database."""

import contextlib
import json
import random
import socket
import subprocess
import threading
import time

import psycopg
import pytest

from answers import refused, rows
from gateway import run_to_end
from live import Viewer, check_hides_counts
from ports import free_port
from postgres import Server, open_to_all, unprivileged
from test_identity import new_identity
from test_postgres_faults import vote_at_once, wait_until_ready
from voting import Receipts, ballots_for, cast_over_websocket, in_threads, join

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def server():
    server = Server(password_encryption="scram-sha-256")
    yield server
    server.remove()


@pytest.fixture
def database(server):
    return server.create_database()


# Several gateways


@pytest.mark.timeout(180)
@pytest.mark.parametrize("count", [2, 3])
def test_a_thousand_voters_on_a_hundred_sockets_each_are_a_thousand_ballots(
    database, start_gateway, count
):
    gateways = [start_gateway("--ledger-connections", "2", store=database) for _ in range(count)]
    poll = gateways[0].create_poll(["a", "b", "c"])
    names = [f"voter {number}" for number in range(1_000)]
    told = [Receipts() for _ in range(100)]
    shuffled = random.Random(count)

    def vote(number: int):
        own = names.copy()
        shuffled.shuffle(own)
        # Whoever comes from several places chooses the same everywhere.
        ballots = ballots_for(poll, own)
        same = (type(b)(b.voter, poll.options[hash(b.voter) % 3]) for b in ballots)
        cast_over_websocket(gateways[number % count], poll, same, told[number], 64)

    join(in_threads(*((vote, number) for number in range(len(told)))), 150)
    outcomes = [outcome for receipts in told for outcome in receipts.outcomes.values()]
    assert len(outcomes) == 100 * 1_000
    assert outcomes.count("counted") + outcomes.count("repeated") == len(outcomes)
    assert database.stored_ballots() == 1_000
    audit = gateways[0].audit(poll)
    assert audit["consistent"] is True
    exported = rows(gateways[-1].ballots_csv(poll))
    assert sorted(row["voter"] for row in exported) == sorted(names)


@pytest.mark.timeout(240)
def test_a_ballot_counts_if_and_only_if_it_was_stored_before_the_close(database, start_gateway):
    gateways = [start_gateway(store=database) for _ in range(3)]
    for turn in range(100):
        poll = gateways[0].create_poll()
        counted, final = [], []
        stop = threading.Event()

        def vote(gateway, number, poll=poll, counted=counted, stop=stop):
            with Viewer(gateway) as viewer:
                for name in range(1_000):
                    answer = viewer.vote(poll, name % 2, voter=f"{number}-{name}")
                    if answer["type"] == "error":
                        assert answer["code"] == "poll_closed", answer
                        return
                    counted.append(name % 2)
                    if stop.is_set():
                        return

        voters = in_threads(*((vote, gateways[n % 3], n) for n in range(3)))
        with Viewer(gateways[0], f"/ws/polls/{poll.id}/") as viewer:
            time.sleep(0.02 + (turn % 10) / 200)
            final.append(gateways[turn % 3].close(poll))
            if turn % 3 == 0:
                closed = viewer.until("state", state="closed")
                last = [m for m in viewer.messages if "revision" in m and "counts" in m]
                assert not last or last[-1]["revision"] <= closed["revision"]
            stop.set()
            join(voters, 20)
        ballots, marks, closed_at = database.execute(
            f"SELECT ballots, counts, closed_at FROM pollstream.tallies WHERE poll_id = {poll.id}"
        )[0]
        assert closed_at is not None
        assert [counted.count(0), counted.count(1)] == marks and ballots == len(counted)
        assert final[0]["total_votes"] == ballots, "the final tally is in the answer"
        assert gateways[0].audit(poll)["consistent"] is True


@pytest.mark.timeout(120)
def test_three_gateways_may_start_on_an_empty_database_at_once(database):
    done = []
    threads = in_threads(
        *((lambda: done.append(run_to_end("migrate", "--database", database.uri)),)
          for _ in range(3))
    )  # fmt: skip
    join(threads)
    assert [one.returncode for one in done] == [0, 0, 0], [one.stderr for one in done]
    assert database.execute("SELECT count(*) FROM pollstream.keys") == [(2,)]


# What one gateway's viewers see of the others


def test_viewers_of_one_gateway_see_what_happens_through_another(database, start_gateway):
    here, there = (start_gateway(store=database) for _ in range(2))
    poll, doomed = there.create_poll(), there.create_poll()
    with Viewer(here) as viewer:
        viewer.subscribe(poll.id, doomed.id)
        for number in range(3):
            there.cast(poll, 0, f"voter {number}")
            viewer.until("tally", poll_id=poll.id, total=number + 1)
        answer = there.call("PATCH", poll.path, token=poll.host_key, json={"title": "Renamed"})
        assert answer.status_code == 200
        viewer.until("snapshot")
        assert viewer.messages[-1]["poll"]["title"] == "Renamed"
        here.cast(poll, 1, "last")
        final = there.close(poll)
        viewer.until("state", poll_id=poll.id, state="closed")
        totals = [m["total"] for m in viewer.messages if m["type"] == "tally"]
        assert totals == sorted(totals) and final["total_votes"] == 4
        there.call("DELETE", doomed.path, token=doomed.host_key)
        viewer.until("state", poll_id=doomed.id)
    # What nobody watches is never older than a second.
    deadline = time.monotonic() + 2
    while here.poll(poll)["state"] != "closed" or here.results(poll)["total"] != 4:
        assert time.monotonic() < deadline
    assert here.get(doomed.path).status_code == 404


# The schema


def test_who_votes_through_one_gateway_sees_the_counts_on_another(database, start_gateway):
    """Without Redis nobody tells the other gateway: each second it asks for some who wait."""
    here, there = start_gateway(store=database), start_gateway(store=database)
    poll = here.create_poll(results="after_vote")
    voters = [new_identity(here, poll)[1] for _ in range(40)]
    with contextlib.ExitStack() as stack:
        path = f"/ws/polls/{poll.id}/"
        viewers = [stack.enter_context(Viewer(there, path, token=voter)) for voter in voters]
        stranger = stack.enter_context(Viewer(there, path))
        for viewer in (*viewers, stranger):
            assert viewer.until("snapshot")["poll"]["total_votes"] is None
        for number, voter in enumerate(voters):
            assert here.vote(poll, number % 2, token=voter).status_code == 201
        for viewer in viewers:
            assert viewer.until("snapshot")["poll"]["total_votes"] == len(voters)
        check_hides_counts(json.dumps(stranger.said_by_now()))


def test_a_missing_schema_is_not_made_against_the_operators_will(database):
    done = run_to_end("serve", "--listen", "127.0.0.1:0", "--ops-listen", "off", "--migrate",
                      "off", "--database", database.uri)  # fmt: skip
    assert done.returncode == 2
    assert "pollstream migrate" in done.stderr
    assert database.execute("SELECT to_regnamespace('pollstream') IS NULL") == [(True,)]


def test_a_newer_schema_is_refused_and_left_alone(database):
    assert run_to_end("migrate", "--database", database.uri).returncode == 0
    database.execute("UPDATE pollstream.schema_version SET version = 1000000")
    for command in ("serve", "check"):
        done = run_to_end(command, "--listen", "127.0.0.1:0", "--ops-listen", "off",
                          "--database", database.uri)  # fmt: skip
        assert done.returncode == {"serve": 2, "check": 1}[command]
        assert "newer" in done.stderr


def test_an_unfinished_schema_is_never_seen(database, server):
    """A migration that fails half way leaves nothing."""
    database.execute("CREATE SCHEMA pollstream; CREATE TABLE pollstream.ballots (key int)")
    assert run_to_end("migrate", "--database", database.uri).returncode == 2
    found = database.execute(
        "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = 'pollstream' AND c.relkind = 'r'"
    )
    assert found == [(1,)]


def test_a_role_with_the_rights_the_readme_names_is_enough(database, server, start_gateway):
    server.execute("CREATE ROLE narrow LOGIN PASSWORD 'x'")
    uri = server.uri(database.name, user="narrow")
    done = run_to_end("migrate", "--database", uri)
    assert done.returncode == 2
    assert "CREATE SCHEMA pollstream AUTHORIZATION" in done.stderr
    database.execute("CREATE SCHEMA pollstream AUTHORIZATION narrow")
    database.uri = uri
    gateway = start_gateway(store=database)
    gateway.cast(gateway.create_poll(), 0, "ada")


# What lies between


SECRET = "very-secret-word"


@pytest.fixture(scope="module")
def strict(server):
    """The same server asking for a password, for a role of that name."""
    server.execute(f"CREATE ROLE guarded LOGIN PASSWORD '{SECRET}'")
    rules = server.data / "pg_hba.conf"
    before = rules.read_text()
    rules.write_text("host all guarded 127.0.0.1/32 scram-sha-256\n" + before)
    server.execute("SELECT pg_reload_conf()")
    time.sleep(0.3)
    return server


def test_a_password_comes_from_the_uri_the_environment_or_a_file(
    strict, database, start_gateway, tmp_path
):
    database.execute("CREATE SCHEMA pollstream AUTHORIZATION guarded")
    host = f"127.0.0.1:{strict.port}/{database.name}"
    passfile = tmp_path / "passfile"
    passfile.write_text(f"127.0.0.1:{strict.port}:*:guarded:{SECRET}\n")
    passfile.chmod(0o600)
    for uri, environment in (
        (f"postgres://guarded:{SECRET}@{host}", {}),
        (f"postgres://guarded@{host}", {"PGPASSWORD": SECRET}),
        (f"postgres://guarded@{host}?passfile={passfile}", {}),
        (f"host=127.0.0.1 port={strict.port} dbname={database.name} user=guarded "
         f"password={SECRET}", {}),
    ):  # fmt: skip
        database.uri = uri
        gateway = start_gateway("--log-level", "debug", store=database, environment=environment)
        gateway.cast(gateway.create_poll(), 0, "ada")
        gateway.stop()
        assert SECRET not in gateway.log_text(2000)


def test_a_wrong_password_is_told_without_the_password(strict, database, start_gateway):
    database.uri = f"postgres://guarded:wrong-{SECRET}@127.0.0.1:{strict.port}/{database.name}"
    gateway = start_gateway(store=database)
    assert gateway.ops("GET", "/readyz").status_code == 503
    refused(gateway.get("/polls/"), 503, "storage_unavailable")
    gateway.wait_for_line("password authentication failed")
    assert SECRET not in gateway.log_text(2000)
    done = run_to_end("check", "--database", database.uri)
    assert done.returncode == 1
    assert SECRET not in done.stdout + done.stderr


def test_what_is_no_connection_string_is_told_without_repeating_it():
    for text in (f"postgres://u:{SECRET}@host:port:x/", f"mysql://u:{SECRET}@h/d", f"{SECRET}"):
        done = run_to_end("check", "--database", text)
        assert done.returncode == 1
        assert SECRET not in done.stdout + done.stderr


def test_tls_to_the_server_is_checked(start_gateway, tmp_path):
    server = Server()
    try:
        key, certificate = server.folder / "key.pem", server.folder / "certificate.pem"
        for name in ("certificate", "other"):
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                 "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                 "-keyout", server.folder / f"{name}-key.pem",
                 "-out", server.folder / f"{name}.pem"],
                check=True, capture_output=True,
            )  # fmt: skip
        key = server.folder / "certificate-key.pem"
        key.chmod(0o600)
        subprocess.run(["chown", "-R", "--reference", server.data, server.folder], check=True)
        server.stop()
        server.settings |= {
            "ssl": "on", "ssl_cert_file": str(certificate), "ssl_key_file": str(key)
        }  # fmt: skip
        server.start()
        database = server.create_database()
        plain = database.uri
        database.uri = f"{plain}?sslmode=verify-full&sslrootcert={certificate}"
        gateway = start_gateway(store=database)
        poll = gateway.create_poll()
        gateway.cast(poll, 0, "ada")
        encrypted = database.execute(
            "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
            " WHERE application_name = 'pollstream'"
        )
        assert encrypted == [(True,)]
        done = run_to_end(
            "check", "--database",
            f"{plain}?sslmode=verify-full&sslrootcert={server.folder}/other.pem",
        )  # fmt: skip
        assert done.returncode == 1
        assert "certificate" in done.stderr
    finally:
        server.remove()


def test_a_server_that_talks_garbage_is_dropped(tmp_path, start_gateway, database):
    listener = socket.create_server(("127.0.0.1", 0))
    answers = [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xff" * 5000, b"R\x7f\xff\xff\xff", b"", b"N",
               b"E\x00\x00\x00\x05\x00"]  # fmt: skip
    accepted = []

    def answer():
        for number in range(1_000):
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            accepted.append(time.monotonic())
            peer.sendall(answers[number % len(answers)])
            time.sleep(0.05)
            peer.close()

    threading.Thread(target=answer, daemon=True).start()
    database.uri = f"postgres://test@127.0.0.1:{listener.getsockname()[1]}/x"
    gateway = start_gateway(store=database)
    time.sleep(6)
    assert gateway.ops("GET", "/livez").status_code == 200
    assert gateway.ops("GET", "/readyz").status_code == 503
    assert 3 <= len(accepted) <= 12
    listener.close()


def test_a_pooler_in_transaction_mode_is_good_enough(database, server, start_gateway, tmp_path):
    port = free_port()
    settings = tmp_path / "pgbouncer.ini"
    users = tmp_path / "users.txt"
    users.write_text('"test" ""\n')
    settings.write_text(
        f"""[databases]
* = host=127.0.0.1 port={server.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
auth_type = trust
auth_file = {users}
pool_mode = transaction
default_pool_size = 3
ignore_startup_parameters = extra_float_digits
unix_socket_dir =
"""
    )
    open_to_all(tmp_path)
    pooler = subprocess.Popen(
        [*unprivileged(), "pgbouncer", settings],
        stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        database.uri = server.uri(database.name, port)
        deadline = time.monotonic() + 10
        while True:
            try:
                psycopg.connect(database.uri).close()
                break
            except psycopg.OperationalError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        gateways = [start_gateway("--ledger-connections", "3", store=database) for _ in range(2)]
        polls = [gateways[0].create_poll() for _ in range(4)]
        for poll in polls:
            names = [f"voter {number}" for number in range(400)]
            for gateway in gateways:
                receipts = vote_at_once(gateway, poll, names, 4)
                assert set(receipts.outcomes.values()) <= {"counted", "repeated"}
            assert gateways[0].audit(poll)["consistent"] is True
            gateways[1].close(poll)
        assert database.stored_ballots() == 1_600
    finally:
        pooler.kill()
        pooler.wait()


# What is taken away


def test_retention_takes_the_names_and_then_the_ballots_and_keeps_the_tally(
    database, start_gateway
):
    gateway = start_gateway("--retain", "2s", store=database)
    poll, kept = gateway.create_poll(), gateway.create_poll()
    for number in range(30):
        gateway.cast(poll, number % 2, f"voter {number}")
    gateway.cast(kept, 0, "still open")
    gateway.close(poll)

    def names(of):
        return database.execute(
            "SELECT count(*), count(*) FILTER (WHERE voter <> '') FROM pollstream.ballots"
            f" WHERE translate(key::text, '-', '') LIKE '{of.id:012x}%'"
        )[0]

    deadline = time.monotonic() + 30
    while names(poll) != (30, 0):
        assert time.monotonic() < deadline and names(poll)[0] == 30
        time.sleep(0.1)
    assert gateway.audit(poll)["consistent"] is True
    while names(poll) != (0, 0):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert gateway.results(poll)["counts"] == [15, 15]
    audit = gateway.audit(poll)
    assert audit["consistent"] is True
    assert audit["ballots_removed_at"] is not None
    assert names(kept) == (1, 1)
    wait_until_ready(gateway)
