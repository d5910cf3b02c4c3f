"""Peers, machines and operators that fail: BAD_INPUT section H, and K06. What a
fault costs those who do nothing wrong is bounded here generously, as machines differ, and measured
by `Tests/Faults/run`."""

import contextlib
import os
import selectors
import signal
import time

import pytest

import attackers
import faults
import prometheus
import stores
from attackers import ATTACKS, attacked
from gateway import eventually, in_the_future, limits
from live import Viewer
from onlookers import Onlookers
from ports import free_port
from small_memory import small_memory
from wire import Wire, get, request

pytestmark = pytest.mark.alone

# What a viewer may wait for a tally while somebody else misbehaves, in milliseconds: with a debug
# build, on a machine that does much else. What is usual is measured by `Tests/Faults/run`.
PATIENCE_MS = 10_000


def descriptors(gateway) -> int:
    return len(os.listdir(f"/proc/{gateway.process.pid}/fd"))


def metric(gateway, name: str) -> float:
    return sum(
        value
        for key, value in prometheus.parse(gateway.ops("GET", "/metrics").text).items()
        if key.partition("{")[0] == name
    )


# Peers in bulk

OF_MEMORY = (attackers.half_bodies, attackers.half_messages)


@pytest.mark.once
@pytest.mark.parametrize("attack", [each for each in ATTACKS if each not in OF_MEMORY],
                         ids=lambda attack: attack.__name__)  # fmt: skip
def test_others_are_served_while_somebody_attacks(start_gateway, attack):
    gateway = start_gateway(
        *limits(header_timeout="2s", body_timeout="2s", idle_timeout="2s", ping_period="1s")
    )
    poll = gateway.create_poll()
    with Onlookers(gateway) as onlookers:
        onlookers.vote()
        before = gateway.resident_bytes()
        with attacked(gateway, attack, poll, ATTACKS[attack]):
            latencies = onlookers.watch(2)
            assert gateway.resident_bytes() - before < 96 << 20
            assert latencies.quantile(1) < PATIENCE_MS
            assert gateway.ops("GET", "/livez").status_code == 200
    # Whatever they held is given back.
    eventually(lambda: descriptors(gateway) < 60)


@pytest.mark.once
def test_snapshots_of_watched_polls_do_not_keep_memory_short(start_gateway):  # H14
    gateway = start_gateway(*limits(buffer_bytes="1MiB"))
    options = [f"{number:02}" + "\U0001f600" * 250 for number in range(20)]
    polls = [gateway.create_poll(options) for _ in range(80)]
    with Viewer(gateway) as viewer:
        for poll in polls:
            viewer.send(type="subscribe", poll_ids=[poll.id])
            assert viewer.until("snapshot")["poll"]["id"] == poll.id
        # A change is a frame that its topic keeps for who is behind: here nobody is.
        for poll in polls[:40]:
            gateway.post(poll.path + "close/", token=poll.host_key)
            viewer.until("state", poll_id=poll.id)
        eventually(lambda: metric(gateway, "pollstream_buffer_bytes") < 768 << 10)
        with Wire(gateway) as newcomer:
            newcomer.send(get("/polls/"))
            assert newcomer.answer().status == 200
        # They are made again for whoever comes.
        with Viewer(gateway, f"/ws/polls/{polls[0].id}/") as late:
            assert late.until("snapshot")["poll"]["state"] == "closed"


def test_a_reader_that_comes_back_gets_the_newest(start_gateway):  # H07
    gateway = start_gateway("--tick", "5ms")
    poll = gateway.create_poll([f"option {n}" * 10 for n in range(20)])
    with Wire(gateway, receive_buffer=2048) as sleeper:
        sleeper.handshake(f"/ws/polls/{poll.id}/")
        for number in range(300):
            gateway.cast(poll, number % 20, f"voter {number}")
        newest = gateway.results(poll)
        seen = 0
        while (message := sleeper.take_message()).get("total") != newest["total"]:
            seen += message["type"] == "tally"
        assert message["counts"] == newest["counts"]
        assert seen < 290, "it was told what is long past"


@pytest.mark.once
def test_a_connection_may_subscribe_to_so_many_and_ask_as_often_as_it_likes(gateway):  # H09, H10
    polls = [gateway.create_poll() for _ in range(130)]
    before = gateway.resident_bytes()
    with Viewer(gateway) as viewer:
        viewer.subscribe(*(poll.id for poll in polls[:128]))
        for _ in range(5000):
            viewer.send(type="subscribe", poll_ids=[polls[128].id])
            viewer.send(type="unsubscribe", poll_ids=[polls[129].id])
        codes = {message["code"] for message in viewer.said_by_now() if message["type"] == "error"}
        assert codes <= {"too_many_subscriptions", "overloaded"} and codes
    assert gateway.resident_bytes() - before < 32 << 20


# Memory and processor


MEMORY = 192 << 20


def shed(gateway) -> dict[str, float]:
    samples = prometheus.parse(gateway.ops("GET", "/metrics").text)
    whats = ("requests", "messages", "connections", "readers")
    return {what: samples[f'pollstream_buffer_shed_total{{what="{what}"}}'] for what in whats}


BODY = b'{"poll_id": 0' + b" " * 60_000 + b"}"
UPLOAD = request("POST /votes/ HTTP/1.1", "Content-Type: application/json",
                 f"Content-Length: {len(BODY)}", body=BODY)  # fmt: skip


def upload_in_two_parts(gateway) -> int:
    with Wire(gateway) as wire:
        wire.send(UPLOAD[:50_000])
        time.sleep(0.1)
        wire.send(UPLOAD[50_000:])
        return wire.answer().status


def status_of_one_upload_too_many(gateway) -> int:
    """Begins one after the other until there is no memory for another."""
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
        for _ in range(1000):
            wire = stack.enter_context(Wire(gateway))
            wire.send(UPLOAD[:50_000])
            selector.register(wire.socket, selectors.EVENT_READ, wire)
            for key, _ in selector.select(0.01):
                return key.data.answer().status
    raise AssertionError("there is no end to it")


@pytest.mark.once
@pytest.mark.parametrize("attack", OF_MEMORY, ids=lambda attack: attack.__name__)
def test_a_small_memory_sheds_before_it_is_full(start_gateway, attack):  # H14
    with small_memory(MEMORY) as memory:
        gateway = start_gateway(*memory.arguments, *limits(body_timeout="60s"), under=memory.under)
        memory.close_in(gateway)
        assert metric(gateway, "pollstream_buffer_bytes_limit") == memory.bound
        poll = gateway.create_poll()
        with Onlookers(gateway) as onlookers:
            onlookers.vote()
            with attacked(gateway, attack, poll, ATTACKS[attack]):
                eventually(lambda: sum(shed(gateway).values()) > 100)
                # What comes whole, or is small, is served as ever.
                assert onlookers.watch(2).quantile(1) < PATIENCE_MS
                for viewer in onlookers.viewers:
                    assert viewer.socket.ping().wait(5)
                assert status_of_one_upload_too_many(gateway) == 503
                assert metric(gateway, "pollstream_buffer_bytes") <= memory.bound
                assert gateway.ops("GET", "/readyz").status_code == 200
            # It is over, without a word from anybody.
            eventually(lambda: upload_in_two_parts(gateway) == 422)
            onlookers.vote()
            assert gateway.audit(onlookers.poll)["consistent"] is True
        assert shed(gateway)["requests" if attack is attackers.half_bodies else "messages"] > 100
        gateway.stop()


def refusals(gateway) -> float:
    samples = prometheus.parse(gateway.ops("GET", "/metrics").text)
    return samples['pollstream_http_responses_total{class="5xx"}']


@pytest.mark.once
def test_answers_that_nobody_takes_do_not_fill_a_small_memory(start_gateway):  # A38, H14
    with small_memory(MEMORY) as memory:
        # Less than its share, as a debug build takes long to write pages.
        gateway = start_gateway(*limits(buffer_bytes="16MiB"), under=memory.under)
        memory.close_in(gateway)
        for _ in range(40):  # a page of which is 240 KB
            poll = gateway.create_poll([f"option {n} " * 25 for n in range(20)])
        with Onlookers(gateway) as onlookers:
            onlookers.vote()
            with attacked(gateway, attackers.slow_downloads, poll, 100):
                # Most are told before a page is made for them.
                eventually(lambda: refusals(gateway) >= 50)
                onlookers.watch(2)
                for viewer in onlookers.viewers:
                    assert viewer.socket.ping().wait(5)
                assert metric(gateway, "pollstream_buffer_bytes") < 32 << 20
            eventually(lambda: upload_in_two_parts(gateway) == 422)
            onlookers.vote()
            assert gateway.audit(onlookers.poll)["consistent"] is True
        gateway.stop()


def test_a_fifth_of_a_processor_answers_pings_in_time(start_gateway):  # K27
    gateway = start_gateway(*limits(ping_period="1s"))
    with Onlookers(gateway, 20) as onlookers, faults.throttled(gateway, 0.2):
        for _ in range(20):
            assert onlookers.vote() < PATIENCE_MS
            began = time.monotonic()
            for viewer in onlookers.viewers:
                assert viewer.socket.ping().wait(2)
            assert time.monotonic() - began < 1


@pytest.mark.parametrize("seconds", [3])
def test_a_gateway_that_stood_still_holds_it_against_nobody(start_gateway, seconds):
    """As after a pause of its virtual machine: who answered all that it was asked stays."""
    gateway = start_gateway(*limits(ping_period="500ms", header_timeout="1s"))
    with Onlookers(gateway, 20) as onlookers, Wire(gateway) as half:
        onlookers.vote()
        half.send(get()[:-2])
        with faults.stopped(gateway):
            time.sleep(seconds)
            half.send(b"\r\n")
        assert half.answer().status == 200
        for _ in range(5):
            onlookers.vote()
            time.sleep(0.3)


@pytest.mark.long
def test_half_a_minute_of_standing_still_costs_nobody_a_connection(start_gateway):
    gateway = start_gateway()
    with Onlookers(gateway, 50) as onlookers:
        onlookers.vote()
        for _ in range(2):
            with faults.stopped(gateway):
                time.sleep(30)
            assert onlookers.vote() < PATIENCE_MS


# Clocks


HOUR, DAY, YEAR = 3600, 86_400, 365 * 86_400


def test_a_wall_clock_that_jumps_closes_no_connection(start_gateway, tmp_path):  # K06, K07
    clock = faults.Clock(tmp_path)
    gateway = start_gateway(*limits(ping_period="500ms"), environment=clock.environment)
    with Onlookers(gateway) as onlookers:
        revision = 0
        for jump in (DAY, -HOUR, 30 * YEAR, 0, -2 * DAY, 0):
            clock.set(jump)
            assert onlookers.vote() < PATIENCE_MS
            time.sleep(0.3)
            newest = gateway.results(onlookers.poll)["revision"]
            assert newest > revision, "a revision fell"
            revision = newest
        assert gateway.audit(onlookers.poll)["consistent"] is True


def test_only_the_clock_of_the_database_ends_a_poll(start_gateway, tmp_path):  # K06, I22
    clock = faults.Clock(tmp_path)
    gateway = start_gateway(environment=clock.environment)
    poll = gateway.create_poll(end_time=in_the_future(hours=1))
    clock.set(2 * HOUR)
    if stores.KIND == "sqlite":  # whose clock is the gateway's
        eventually(lambda: gateway.poll(poll)["state"] == "closed")
        clock.set(0)
        assert gateway.poll(poll)["state"] == "closed"
    else:
        gateway.cast(poll, 0, "ada")
        assert gateway.poll(poll)["state"] == "open"


# Log


def test_a_log_that_nobody_reads_stops_nobody(start_gateway):  # H18
    gateway = start_gateway("--log-level", "debug")
    with Onlookers(gateway) as onlookers:
        with faults.log_unread(gateway):
            for number in range(50):
                gateway.get("/nowhere", headers={"X-Request-Id": f"unread-{number}"})
            assert onlookers.vote() < PATIENCE_MS
            assert "unread-49" not in gateway.log_text(2000)
        # What fitted into the queue is there once somebody reads again.
        eventually(lambda: "unread-49" in gateway.log_text(2000))
        assert metric(gateway, "pollstream_log_dropped_lines_total") == 0


@pytest.mark.once
def test_a_log_disk_that_is_full_stops_nobody(tmp_path):  # H18
    port = free_port()
    with open("/dev/full", "w") as full:
        process = faults.start_bare(tmp_path, port, stderr=full)
    try:
        eventually(lambda: faults.answers(port))
        for _ in range(100):
            assert faults.answers(port)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
