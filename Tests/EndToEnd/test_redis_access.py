"""How Redis is named, who may use it, and what is told where it is named wrongly."""

import time

import pytest

import test_relay
from gateway import run_to_end
from live import Viewer
from redis import Redis
from test_relay import is_joined, wait_for, wait_until_joined

pytestmark = [pytest.mark.postgres, pytest.mark.takes(5)]

# Fixtures.
server, database, start_with = test_relay.server, test_relay.database, test_relay.start_with


def test_a_password_a_user_a_database_and_a_socket(start_with, start_gateway, server):
    redis = Redis(requirepass="very:secret", user="ada on >word allcommands allkeys allchannels")
    try:
        for url in (
            f"redis://:very%3Asecret@127.0.0.1:{redis.port}/3",
            f"redis://ada:word@127.0.0.1:{redis.port}",
            f"unix://:very%3Asecret@{redis.path}?db=2",
        ):
            gateway = start_with(url)
            wait_until_joined(gateway)
            assert "secret" not in gateway.log_text() and "word" not in gateway.log_text()
            gateway.stop()
        gateway = start_with(f"redis://:wrong-word@127.0.0.1:{redis.port}")
        wait_for(lambda: any("AUTH: WRONGPASS" in line for line in gateway.log))
        assert "wrong-word" not in gateway.log_text()
        gateway.cast(gateway.create_poll(), 0, "ada")
    finally:
        redis.remove()


def test_a_server_that_repeats_what_it_does_not_know_tells_the_log_no_password(  # L02
    start_with,
):
    redis = Redis(rename_command='AUTH ""')
    try:
        gateway = start_with(f"redis://:very-secret@127.0.0.1:{redis.port}")
        wait_for(lambda: any("AUTH: ERR" in line for line in gateway.log))
        assert "very-secret" not in gateway.log_text()
    finally:
        redis.remove()


def test_a_user_of_redis_needs_no_more_rights_than_the_documents_name(start_with):
    rights = "&pollstream:* +ping +publish +subscribe +unsubscribe +select"
    redis = Redis(user=f"ada on >word resetchannels -@all {rights}")
    try:
        here, there = (start_with(f"redis://ada:word@127.0.0.1:{redis.port}/2") for _ in range(2))
        wait_until_joined(here, there)
        poll = here.create_poll()
        with Viewer(there, f"/ws/polls/{poll.id}/") as viewer:
            viewer.until("snapshot")
            wait_for(lambda: any(name.endswith(f":poll:{poll.id}") for name in redis.channels()))
            here.cast(poll, 0, "ada")
            viewer.until("tally", total=1)
        wait_for(lambda: not any(name.endswith(f":poll:{poll.id}") for name in redis.channels()))
        time.sleep(1)
        assert is_joined(there) and not any("Redis lost" in line for line in there.log)
    finally:
        redis.remove()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1", "begin with redis://"),
        ("rediss://127.0.0.1", "TLS"),
        ("redis://", "no host"),
        ("redis://127.0.0.1:0", "bad port"),
        ("redis://127.0.0.1:x", "bad port"),
        ("redis://127.0.0.1/x", "bad database"),
        ("redis://:word%2@127.0.0.1", "hexadecimal"),
        ("unix://socket", "whole path"),
    ],
)
def test_a_bad_url_is_told_without_repeating_it(database, url, reason):
    done = run_to_end("check", "--database", database.uri, "--redis", url)
    assert done.returncode != 0
    assert reason in done.stderr + done.stdout
    assert "word" not in done.stderr + done.stdout


def test_redis_without_a_database_to_share_is_refused():
    done = run_to_end("check", "--redis", "redis://127.0.0.1")
    assert done.returncode != 0
    assert "--database postgres" in done.stderr + done.stdout
