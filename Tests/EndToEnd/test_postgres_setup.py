"""A PostgreSQL database as a gateway finds it: its schema, who may use it, and the way to it."""

import socket
import subprocess
import threading
import time

import psycopg
import pytest

from answers import refused
from gateway import run_to_end
from ports import free_port
from postgres import Server, open_to_all, server_fixture, unprivileged
from test_postgres_faults import vote_at_once

pytestmark = [pytest.mark.postgres, pytest.mark.takes(20)]


server = server_fixture(password_encryption="scram-sha-256")


@pytest.fixture
def database(server):
    return server.create_database()


# The schema


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


def test_an_encoding_that_does_not_hold_every_name_is_refused(server):
    server.execute("CREATE DATABASE narrow ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    done = run_to_end("migrate", "--database", server.uri("narrow"))
    assert done.returncode == 2
    assert "encoding is not UTF8" in done.stderr


def test_a_role_that_hears_no_warnings_is_refused(database, server):
    server.execute(f"ALTER DATABASE {database.name} SET client_min_messages = 'error'")
    done = run_to_end("migrate", "--database", database.uri)
    assert done.returncode == 2
    assert "client_min_messages" in done.stderr


@pytest.mark.timeout(90)
def test_a_table_that_somebody_reads_keeps_a_migration_and_nobody_else(database, server):
    """As a backup does. The version of before is brought back in its place."""
    run_to_end("migrate", "--database", database.uri)
    database.execute(
        "ALTER TABLE pollstream.polls DROP COLUMN ask_name;"
        "UPDATE pollstream.schema_version SET version = 1"
    )
    with server.connect(database.name) as connection, connection.transaction():
        connection.execute("SELECT count(*) FROM pollstream.polls")
        done = run_to_end("migrate", "--database", database.uri)
        assert done.returncode == 2
        assert "lock timeout" in done.stderr
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        assert database.execute(waiting)[0][0] == 0


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
