"""The command line: what it takes, what it refuses, and with which exit code."""

import os
import shutil
import socket
import sqlite3

import pytest

from gateway import limits, run_to_end
from live import Viewer, tallies
from ports import free_port

USAGE, CONFIGURATION, DEPENDENCY = 64, 1, 2
WRONG = ["--tick", "banana", "--listen", "nowhere", "--limit", "no-such-limit=3", "--drain", "-3s"]
WRONG_WORDS = ["tick", "listen", "no-such-limit", "drain"]


def loopback(folder) -> list[str]:
    """Options that start nothing but a gateway of this test's own."""
    return ["--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0",
            "--database", f"sqlite:{folder}/pollstream.db"]  # fmt: skip


def test_the_version_is_told():
    done = run_to_end("--version")
    assert done.returncode == 0
    assert any(character.isdigit() for character in done.stdout)


def test_help_names_every_option_and_limit():
    done = run_to_end("serve", "--help")
    assert done.returncode == 0
    for option in ("--listen", "--ops-listen", "--database", "--tick", "--voter-names", "--limit",
                   "--drain", "--drain-delay", "--allowed-origin", "--ws-echo"):  # fmt: skip
        assert option in done.stdout
    for word in limits(body=1, waiting_ballots=1, ping_period="1s", commit_timeout="1s")[1::2]:
        assert word.split("=")[0] in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("serve", "--no-such-option"),
        ("no-such-command",),
        ("serve", "--listen"),
        ("serve", "extra"),
    ],
    ids=" ".join,
)
def test_a_usage_error_ends_with_64(arguments, tmp_path):
    done = run_to_end(*arguments, folder=tmp_path)
    assert done.returncode == USAGE
    assert done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["serve", "check"])
def test_a_wrong_configuration_ends_with_1_and_lists_every_problem(command, tmp_path):
    done = run_to_end(command, *WRONG, folder=tmp_path)
    assert done.returncode == CONFIGURATION, done.stderr
    said = done.stdout + done.stderr
    assert [word for word in WRONG_WORDS if word not in said] == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--tick", "0ms"), ("--tick", "50"), ("--tick", "1h"), ("--loops", "0"), ("--loops", "x"),
        ("--voter-names", "maybe"), ("--database", "oracle://x"), ("--database", ""),
        ("--limit", "body-bytes"), ("--limit", "body-bytes=lots"),
        ("--limit", "ping-period=25"), ("--rate-votes", "5"), ("--rate-votes", "5/year"),
        ("--allowed-origin", "not an origin"), ("--log-level", "loud"), ("--log-format", "xml"),
        ("--listen", "127.0.0.1:99999"), ("--ops-listen", "somewhere"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named(option, value, tmp_path):
    options = loopback(tmp_path)
    if option in options:
        at = options.index(option)
        del options[at : at + 2]
    done = run_to_end("check", *options, option, value, folder=tmp_path)
    assert done.returncode == CONFIGURATION, done.stderr
    assert option.removeprefix("--") in done.stdout + done.stderr


def test_a_good_configuration_passes_the_check(tmp_path):
    done = run_to_end("check", *loopback(tmp_path), folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "content",
    [b"this is no database\n" * 100, b"SQLite format 3\0" + b"\xff" * 4080],
    ids=["text", "corrupt"],
)
def test_a_file_that_is_no_database_is_refused_and_left_alone(content, tmp_path):
    path = tmp_path / "pollstream.db"
    path.write_bytes(content)
    done = run_to_end("serve", *loopback(tmp_path), folder=tmp_path)
    assert done.returncode == DEPENDENCY, done.stderr
    assert path.read_bytes() == content


def test_a_database_where_none_can_be_is_refused(tmp_path):
    done = run_to_end("serve", *loopback(tmp_path / "missing"), folder=tmp_path)
    assert done.returncode == DEPENDENCY
    assert "missing" in done.stderr
    # What it is, where it is, and what to do, in words.
    assert "unusable" not in done.stderr
    assert "make it, and let this user write there" in done.stderr


def test_a_user_without_rights_is_told_where(tmp_path):  # K26
    path = tmp_path / "pollstream.db"
    path.write_bytes(b"")
    path.chmod(0)
    nobody = ["setpriv", "--reuid", "65534", "--clear-groups", "--"] if os.geteuid() == 0 else []
    done = run_to_end("serve", *loopback(tmp_path), under=nobody)
    assert done.returncode == DEPENDENCY
    assert "pollstream.db" in done.stderr and "ermission denied" in done.stderr
    assert path.stat().st_size == 0


def test_a_machine_that_knows_no_names_is_told_so(tmp_path):  # K26
    empty = 'mount --bind /dev/null /etc/resolv.conf && exec "$@"'
    done = run_to_end(
        "check", "--database", "postgres://nosuch.invalid/polls", "--listen", "127.0.0.1:0",
        under=["unshare", "--map-root-user", "--mount", "sh", "-c", empty, "sh"],
    )  # fmt: skip
    assert done.returncode == 1
    assert "--database: " in done.stderr and "nosuch.invalid" in done.stderr


def test_a_variable_with_a_wrong_letter_is_told(tmp_path):
    done = run_to_end(
        "check", *loopback(tmp_path), folder=tmp_path, environment={"POLLSTREAM_DRAN": "5s"}
    )
    assert done.returncode == 0, done.stderr
    assert "POLLSTREAM_DRAN is no setting; did you mean POLLSTREAM_DRAIN?" in done.stderr


def test_the_check_looks_at_what_others_serve():
    nobody = free_port()
    done = run_to_end(
        "check", "--listen", "127.0.0.1:0", "--ops-listen", "off",
        "--database", f"postgres://pollstream@127.0.0.1:{nobody}/polls",
        "--redis", f"redis://127.0.0.1:{nobody}",
    )  # fmt: skip
    assert done.returncode == CONFIGURATION
    refused = [line for line in done.stderr.splitlines() if "Connection refused" in line]
    assert [line.split(": ")[0] for line in refused] == ["--database", "--redis"], done.stderr
    assert f"redis://127.0.0.1:{nobody}" in refused[1]


@pytest.mark.sqlite
def test_a_second_gateway_on_the_same_file_is_refused(start_gateway):
    gateway = start_gateway()
    done = run_to_end("serve", *loopback(gateway.folder), folder=gateway.folder)
    assert done.returncode == DEPENDENCY, done.stderr
    poll = gateway.create_poll()
    gateway.cast(poll, 0, "ada")


def test_a_gateway_that_was_killed_blocks_no_successor(start_gateway):
    gateway = start_gateway()
    gateway.kill()
    gateway.start()
    assert gateway.get("/polls/").status_code == 200


@pytest.mark.sqlite
def test_a_newer_schema_is_refused_and_left_alone(start_gateway, tmp_path):
    gateway = start_gateway()
    gateway.cast(gateway.create_poll(), 0, "ada")
    gateway.stop()
    raise_schema_version(gateway.database)
    done = run_to_end("serve", *loopback(gateway.folder), folder=tmp_path)
    assert done.returncode == DEPENDENCY, done.stderr
    assert gateway.stored_ballots() == 1


def raise_schema_version(database):
    """As a gateway of the year 2100 would have left it."""
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA user_version = 1000000")
    connection.commit()
    connection.close()


def test_an_address_in_use_is_refused(start_gateway, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run_to_end(
            "serve", "--listen", address, "--ops-listen", "off",
            "--database", f"sqlite:{tmp_path}/pollstream.db",
        )  # fmt: skip
    assert done.returncode in (CONFIGURATION, DEPENDENCY)
    assert address in done.stderr


def test_the_address_of_another_gateway_is_refused_though_loops_share_theirs(
    start_gateway, tmp_path
):
    gateway = start_gateway("--loops", "2")
    address = gateway.url.removeprefix("http://")
    done = run_to_end(
        "serve", "--listen", address, "--ops-listen", "off",
        "--database", f"sqlite:{tmp_path}/another.db",
    )  # fmt: skip
    assert done.returncode in (CONFIGURATION, DEPENDENCY)
    assert address in done.stderr
    assert gateway.get("/polls/").status_code == 200


# Settings


def test_migrate_creates_the_schema_that_serve_then_needs_not(start_gateway, tmp_path):
    database = f"sqlite:{tmp_path}/prepared.db"
    done = run_to_end("migrate", "--database", database)
    assert done.returncode == 0, done.stderr
    again = run_to_end("migrate", "--database", database)
    assert again.returncode == 0, again.stderr
    gateway = start_gateway("--database", database, "--migrate", "off", without=("--database",))
    gateway.cast(gateway.create_poll(), 0, "ada")


def test_an_option_is_also_an_environment_variable(start_gateway, tmp_path):
    gateway = start_gateway(
        without=("--listen", "--ops-listen", "--database"),
        environment={
            "POLLSTREAM_LISTEN": "127.0.0.1:0",
            "POLLSTREAM_OPS_LISTEN": "127.0.0.1:0",
            "POLLSTREAM_DATABASE": f"sqlite:{tmp_path}/by-environment.db",
            "POLLSTREAM_VOTER_NAMES": "deny",
        },
    )
    assert (tmp_path / "by-environment.db").exists()
    assert gateway.vote(gateway.create_poll(), 0, "ada").status_code == 401


def test_the_command_line_wins_over_the_environment(start_gateway, tmp_path):
    gateway = start_gateway(
        "--voter-names", "allow",
        environment={
            "POLLSTREAM_VOTER_NAMES": "deny",
            "POLLSTREAM_DATABASE": f"sqlite:{tmp_path}/by-environment.db",
        },
    )  # fmt: skip
    assert not (tmp_path / "by-environment.db").exists()
    assert gateway.vote(gateway.create_poll(), 0, "ada").status_code == 201


def test_a_wrong_environment_variable_is_named(tmp_path):
    done = run_to_end(
        "check", *loopback(tmp_path), environment={"POLLSTREAM_TICK": "banana"}, folder=tmp_path
    )
    assert done.returncode == CONFIGURATION
    said = (done.stdout + done.stderr).lower()
    assert "tick" in said


def test_every_listen_address_serves_and_is_told(start_gateway):
    gateway = start_gateway("--listen", "127.0.0.1:0")
    found = [line for line in gateway.log if "listening on http://" in line]
    assert len(found) == 2
    assert gateway.get("/polls/").status_code == 200


@pytest.mark.parametrize("loops", [1, 3])
def test_any_number_of_loops_is_one_gateway(start_gateway, loops):
    gateway = start_gateway("--loops", loops)
    poll = gateway.create_poll()
    viewers = [Viewer(gateway, f"/ws/polls/{poll.id}/") for _ in range(12)]
    for viewer in viewers:
        viewer.until("snapshot")
    gateway.cast(poll, 1, "ada")
    gateway.close(poll)
    for viewer in viewers:
        viewer.until("state", state="closed")
        assert tallies(viewer.messages, poll.id)[-1]["counts"] == [0, 1]
        viewer.socket.close()


def test_logs_hold_no_secret(start_gateway):
    gateway = start_gateway("--log-level", "debug", "--log-format", "json")
    poll = gateway.create_poll()
    gateway.cast(poll, 0, "very-particular-name")
    gateway.get(poll.path + "audit/", token=poll.host_key)
    token = gateway.vote(poll, 0).json().get("voter_token", "psv_")
    gateway.vote(poll, 0, token=token)
    gateway.stop()
    log = gateway.log_text(2000)
    assert poll.host_key not in log
    assert "psv_" not in log and "psh_" not in log
    assert "very-particular-name" not in log


@pytest.mark.sqlite
def test_a_database_survives_a_copy(start_gateway, tmp_path):
    gateway = start_gateway()
    poll = gateway.create_poll()
    gateway.cast(poll, 1, "ada")
    gateway.stop()
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(gateway.database, copy / "pollstream.db")
    restored = start_gateway(folder=copy)
    assert restored.results(poll)["counts"] == [0, 1]
