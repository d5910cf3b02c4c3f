"""The log: a line for each transition, requests by their names, never a secret, never a flood."""

import json
import re
import signal
import threading
import time
import uuid

import pytest

from gateway import limits
from live import Viewer
from wire import Wire, get, post_json

# The store makes no difference.
pytestmark = pytest.mark.once

SETTLES_WITHIN = 15


def lines(gateway, *words: str) -> list[str]:
    return [line for line in list(gateway.log) if all(word in line for word in words)]


@pytest.fixture
def stalling(start_gateway):
    """A gateway whose commits time out at once where its storage is stalled."""
    return start_gateway(*limits(commit_timeout="200ms"))


def test_a_failed_request_has_the_same_name_in_its_answer_and_in_the_log(stalling):
    poll = stalling.create_poll()
    with stalling.storage_stalled():
        answer = stalling.vote(poll, 0, "a-voter-s-name")
    assert answer.status_code in (503, 504)
    name = answer.headers["X-Request-Id"]
    assert re.fullmatch("[0-9a-f]{16}", name)
    line = stalling.wait_for_line(name)
    code = answer.json()["error"]["code"]
    for fact in (
        " warning request failed ", f"code={code}", "method=POST", f"request={name}",
        "route=/votes/", f"status={answer.status_code}", "untold=0",
    ):  # fmt: skip
        assert fact in line
    assert "a-voter-s-name" not in stalling.log_text()


def test_the_name_that_a_proxy_gave_is_kept(stalling):
    poll = stalling.create_poll()
    name = str(uuid.uuid4())
    counted = stalling.vote(poll, 0, "ada", headers={"X-Request-Id": name})
    assert (counted.status_code, counted.headers["X-Request-Id"]) == (201, name)
    with stalling.storage_stalled():
        failed = stalling.vote(poll, 0, "bob", headers={"X-Request-Id": name})
    assert failed.headers["X-Request-Id"] == name
    assert f"status={failed.status_code}" in stalling.wait_for_line(f"request={name}")


def test_what_is_answered_well_and_unnamed_stays_unnamed(gateway):
    assert "X-Request-Id" not in gateway.get("/polls/").headers
    assert "X-Request-Id" not in gateway.get("/nowhere").headers


@pytest.mark.parametrize("name", [b"two words", b"\x1b[31mred", b"x" * 129, b"a\xffb", b'"q"'])
def test_a_name_that_would_have_to_be_escaped_is_none(gateway, name):
    with Wire(gateway) as wire:
        wire.send(b"GET /polls/ HTTP/1.1\r\nHost: a\r\nX-Request-Id: " + name + b"\r\n\r\n")
        answer = wire.answer()
    # A control character breaks HTTP itself.
    assert answer.status == (400 if b"\x1b" in name else 200)
    assert "x-request-id" not in answer.fields


def test_a_vote_over_websocket_is_named_by_its_ref(stalling):
    poll = stalling.create_poll()
    with Viewer(stalling) as viewer, stalling.storage_stalled():
        answer = viewer.vote(poll, 0, voter="ada", ref="my-ref-17")
    assert answer["code"] in ("commit_unknown", "storage_unavailable", "overloaded")
    assert f"code={answer['code']}" in stalling.wait_for_line("my-ref-17", "request failed")


def test_a_thousand_failures_are_a_few_lines_and_a_number(stalling):
    poll = stalling.create_poll()
    count, began = 300, time.monotonic()
    with stalling.storage_stalled():
        with Viewer(stalling) as viewer:
            for number in range(count):
                viewer.send(
                    type="vote", ref=f"r{number}", poll_id=poll.id,
                    option_ids=[poll.options[0]], voter=f"voter {number}",
                )  # fmt: skip
            for _ in range(count):
                viewer.until("error")
        # Another second: the next line says what was not told.
        time.sleep(1.1)
        stalling.vote(poll, 0, "last")
    deadline = time.monotonic() + SETTLES_WITHIN
    while told_of(stalling) < count + 1:
        assert time.monotonic() < deadline, stalling.log_text()
        time.sleep(0.05)
    assert told_of(stalling) == count + 1
    assert len(lines(stalling, "request failed")) <= 10 * (time.monotonic() - began + 2)


def told_of(gateway) -> int:
    told = lines(gateway, "request failed")
    return len(told) + sum(int(re.search(r"untold=(\d+)", line)[1]) for line in told)


def test_a_stall_is_two_lines_however_many_voted(stalling):
    poll = stalling.create_poll()
    with stalling.storage_stalled():
        voters = [
            threading.Thread(target=stalling.vote, args=(poll, 0, f"voter {number}"))
            for number in range(10)
        ]
        for voter in voters:
            voter.start()
        for voter in voters:
            voter.join()
    stalling.wait_for_line("storage for ballots recovered")
    assert len(lines(stalling, "storage for ballots lost")) == 1


def test_json_lines_are_json_with_the_same_facts(start_gateway):
    gateway = start_gateway("--log-format", "json", *limits(commit_timeout="200ms"))
    poll = gateway.create_poll()
    with gateway.storage_stalled():
        name = gateway.vote(poll, 0, "ada").headers["X-Request-Id"]
    line = json.loads(gateway.wait_for_line(name))
    assert line["level"] == "warning"
    assert line["message"] == "request failed"
    assert line["request"] == name
    assert line["route"] == "/votes/"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
    gateway.stop()
    # Beside where it listens, every line is such a one.
    for line in gateway.log:
        if not re.match("(listening|ops) on ", line):
            assert {"time", "level", "message"} <= json.loads(line).keys()


def test_what_clients_do_wrong_is_told_at_debug_alone_and_a_signal_turns_that_on(gateway):
    assert gateway.get("/nowhere").status_code == 404
    gateway.process.send_signal(signal.SIGUSR1)
    gateway.wait_for_line("log level", "debug")
    answer = gateway.get("/nowhere?secret=in-the-query")
    line = gateway.wait_for_line(answer.headers["X-Request-Id"])
    assert " debug request refused " in line
    assert "code=not_found" in line
    gateway.process.send_signal(signal.SIGUSR2)
    gateway.wait_for_line("log level", "info")
    assert "X-Request-Id" not in gateway.get("/nowhere").headers
    assert len(lines(gateway, "request refused")) == 1


def test_no_address_of_a_client_is_in_the_log(start_gateway):  # L02
    gateway = start_gateway("--log-level", "debug", "--trusted-proxy", "127.0.0.1")
    for path in ("/nowhere", "/polls/7/", "/votes/", "/ws/"):
        answer = gateway.get(path, headers={"X-Forwarded-For": "203.0.113.77"})
        gateway.wait_for_line(answer.headers["X-Request-Id"])
    assert "203.0.113" not in gateway.log_text()
    assert not [line for line in gateway.log if "request" in line and "127.0.0.1" in line]


def test_no_secret_is_in_the_log_whatever_goes_wrong(start_gateway):
    gateway = start_gateway(
        "--log-level",
        "debug",
        "--admin-key",
        "psa_admin-secret-0123456789",
        *limits(commit_timeout="200ms"),
    )
    created = gateway.post(
        "/polls/", json={"title": "t", "options": ["a", "b"]}, token="psa_admin-secret-0123456789"
    ).json()
    secrets = [
        "psa_admin-secret-0123456789",
        created["host_key"],
        "psh_wrong-key",
        "psv_forged",
        "the-voter",
    ]
    path = f"/polls/{created['id']}/"
    gateway.post(path + "close/", token="psh_wrong-key")
    gateway.post("/polls/", json={}, token="psa_admin-secret-0123456789")
    vote = {"poll_id": created["id"], "option_id": 999, "voter": "the-voter"}
    gateway.post("/votes/", json=vote, token="psv_forged")
    gateway.post("/votes/", json=vote)
    gateway.get(f"{path}?host_key=psh_wrong-key&voter=the-voter")
    gateway.get("/psh_wrong-key/the-voter")
    with Wire(gateway) as wire:
        wire.send(post_json("/votes/", vote, "Cookie: pollstream_voter=psv_forged"))
        assert wire.answer().status >= 400
        wire.send(get("/join/the-voter", "Authorization: Bearer psh_wrong-key"))
        wire.answer()
    with Viewer(gateway) as viewer:
        viewer.ask(type="subscribe", poll_ids=[created["id"]], host_key="psh_wrong-key")
        viewer.ask(type="vote", poll_id=created["id"], option_ids=[1], voter="the-voter")
    with gateway.storage_stalled():
        good = {**vote, "option_id": created["options"][0]["id"]}
        assert gateway.post("/votes/", json=good).status_code in (503, 504)
    gateway.wait_for_line("request failed")
    assert lines(gateway, "request refused")
    gateway.kill(signal.SIGSEGV)  # K13
    assert gateway.process.returncode not in (0, None)
    for secret in secrets:
        assert secret not in gateway.log_text(2000)
