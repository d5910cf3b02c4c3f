"""Who comes when no more can be taken: BAD_INPUT H01 to H03, and H23."""

import collections
import contextlib
import selectors
import socket
import time

import pytest

import faults
from gateway import eventually
from live import Viewer
from onlookers import Onlookers
from test_faults import PATIENCE_MS, descriptors
from wire import TEXT, Wire, frame, get, upgrade

pytestmark = pytest.mark.alone


def status_of(wire: Wire) -> int | None:
    """Of the next answer; None where the connection was let go without one."""
    try:
        return wire.answer().status
    except AssertionError:
        return None


@pytest.mark.once
@pytest.mark.skipif(not faults.can_trace(), reason="no process may be traced here")
@pytest.mark.parametrize("error", ["ENFILE", "ENOBUFS", "ECONNABORTED", "EPROTO"])
def test_an_accept_that_fails_is_tried_again_and_spins_nobody(start_gateway, error):  # H03
    gateway = start_gateway()
    with Onlookers(gateway, 3) as onlookers:
        onlookers.vote()
        with faults.injected(gateway, f"accept4:error={error}:when=1..20"):
            used = faults.cpu_seconds(gateway)
            with Wire(gateway) as wire:
                wire.send(get())
                assert onlookers.vote() < PATIENCE_MS
                assert wire.answer().status == 200
            assert faults.cpu_seconds(gateway) - used < 2
        assert gateway.get("/polls/").status_code == 200


def test_out_of_descriptors_nobody_is_lost_and_whoever_comes_is_let_go(start_gateway):  # H01
    gateway = start_gateway()
    with Onlookers(gateway) as onlookers:
        onlookers.vote()
        with faults.descriptors_limited(gateway, descriptors(gateway) + 10):
            wires = [Wire(gateway) for _ in range(200)]
            for wire in wires:
                wire.send(get("/polls/", "Connection: close"))
            # Each comes to an end: answered, or turned away with the descriptor kept for that.
            answers = [wire.rest() for wire in wires]
            assert all(
                not each or each[:13] in (b"HTTP/1.1 200 ", b"HTTP/1.1 503 ") for each in answers
            )
            assert faults.limit_hits(gateway, "descriptors") > 100
            # It is over, and nothing spins.
            used = faults.cpu_seconds(gateway)
            time.sleep(2)
            assert faults.cpu_seconds(gateway) - used < 0.2 * 2
            for viewer in onlookers.viewers:
                assert all(message["type"] == "viewers" for message in viewer.said_by_now())
            for wire in wires:
                wire.socket.close()
        assert onlookers.vote() < PATIENCE_MS
        eventually(lambda: gateway.get("/polls/").status_code == 200)


@pytest.mark.postgres
def test_the_database_is_found_again_although_descriptors_are_short(start_gateway):  # H02
    """What the gateway keeps for itself is enough, with every connection taken that it gives."""
    gateway = start_gateway(under=["prlimit", "--nofile=320:320"])
    poll = gateway.create_poll()
    with Viewer(gateway) as voter, contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(gateway)) for _ in range(300)]
        for wire in wires:
            wire.send(get("/nothing-is-here"))
        statuses = [status_of(wire) for wire in wires]
        assert statuses.count(404) > 50 and statuses.count(503) > 8, "it is full"
        gateway.store.server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IS NOT NULL"
            " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        eventually(lambda: voter.vote(poll, 0, voter="ada")["type"] == "ack")
        assert voter.vote(poll, 1, voter="bob")["type"] == "ack"
        held = [wire for wire, status in zip(wires, statuses, strict=True) if status == 404]
        for wire in held[:5]:
            wire.send(get("/polls/"))
            assert wire.answer().status == 200


def test_more_connections_than_wait_in_line_come_while_the_gateway_stands(start_gateway):  # H23
    count = 6_000
    gateway = start_gateway()
    with contextlib.ExitStack() as stack:
        with faults.stopped(gateway):
            peers = knock(gateway, count, stack)
        # Whom the kernel had no room for knocks again by itself, a second later or three.
        outcomes = collections.Counter(ask_all(peers, get("/polls/", "Connection: close"), 30))
    assert outcomes["200"] + outcomes["503"] + outcomes["refused"] == count, outcomes
    assert outcomes["200"] > 4_000
    assert gateway.get("/polls/").status_code == 200


def knock(gateway, count: int, stack: contextlib.ExitStack) -> list[socket.socket]:
    """So many connections that are begun at once, and closed with `stack`."""
    peers = []
    for _ in range(count):
        peer = stack.enter_context(socket.socket())
        peer.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            peer.connect(gateway.address)
        peers.append(peer)
    return peers


def ask_all(peers: list[socket.socket], question: bytes, seconds: float):
    """Of each the status that it is answered, "refused", or "nothing" in so much time."""
    selector = selectors.DefaultSelector()
    for peer in peers:
        selector.register(peer, selectors.EVENT_WRITE)
    deadline = time.monotonic() + seconds
    while selector.get_map() and time.monotonic() < deadline:
        for key, events in selector.select(1):
            try:
                if events & selectors.EVENT_WRITE:
                    key.fileobj.send(question)
                    selector.modify(key.fileobj, selectors.EVENT_READ)
                    continue
                head = key.fileobj.recv(4096)
            except ConnectionError:
                head = b""
            selector.unregister(key.fileobj)
            yield head[9:12].decode() if head else "refused"
    yield from ["nothing"] * len(selector.get_map())


@pytest.mark.once
def test_a_burst_of_connections_is_taken_or_let_go_and_over(gateway):  # H23
    wires = [Wire(gateway) for _ in range(1000)]
    for wire in wires:
        wire.send(upgrade("/ws/") + frame(TEXT, b'{"type":"ping"}'))
    for wire in wires:
        assert wire.answer().status == 101
        assert wire.take_message() == {"type": "pong"}
        wire.reset()
    assert gateway.get("/polls/").status_code == 200
