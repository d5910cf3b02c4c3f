"""Sockets by the thousand: what each costs, and what it costs others when they come and go:
BAD_INPUT C17, C23, D37, H04, H09, H11 and H13."""

import collections
import contextlib

import pytest

import stores
from gateway import eventually
from onlookers import Onlookers
from redis import Redis
from test_accept_faults import ask_all, knock
from test_bad_compression import RSV1, deflated
from test_faults import PATIENCE_MS, descriptors
from test_relay import metric, wait_until_joined
from wire import TEXT, Wire, frame, get, post_json, text, upgrade

pytestmark = pytest.mark.takes(25)


def create_polls(gateway, count: int) -> list[dict]:
    """As fast as one connection takes it."""
    made = []
    asked = post_json("/polls/", {"title": "One of many", "options": ["a", "b"]})
    with Wire(gateway) as wire:
        for _ in range(0, count, 50):
            wire.send(asked * 50)
            made += [wire.answer().json() for _ in range(50)]
    return made


def open_sockets(stack, gateway, paths, *fields: str) -> list[Wire]:
    """A socket for each path, a hundred handshakes at a time."""
    wires = []
    for start in range(0, len(paths), 100):
        some = [stack.enter_context(Wire(gateway)) for _ in paths[start : start + 100]]
        for wire, path in zip(some, paths[start:], strict=False):
            wire.send(upgrade(path, *fields))
        for wire in some:
            assert wire.answer().status == 101
        wires += some
    return wires


def take_of(wire: Wire, kind: str) -> dict:
    while (message := wire.take_message())["type"] != kind:
        pass
    return message


def test_many_polls_with_a_viewer_each_cost_little(start_gateway):  # H11
    count = 600 if stores.KIND == "sqlite" else 200
    with contextlib.ExitStack() as stack:
        arguments = []
        if stores.KIND == "postgres":
            redis = Redis()
            stack.callback(redis.remove)
            arguments = ["--redis", redis.url]
        gateway = start_gateway(*arguments)
        polls = create_polls(gateway, count)
        resident, wires = [gateway.resident_bytes()], []
        for half in (polls[: count // 2], polls[count // 2 :]):
            some = open_sockets(stack, gateway, [f"/ws/polls/{poll['id']}/" for poll in half])
            for wire, poll in zip(some, half, strict=True):
                assert take_of(wire, "snapshot")["poll"]["id"] == poll["id"]
            wires += some
            resident.append(gateway.resident_bytes())
        grown = [after - before for before, after in zip(resident, resident[1:], strict=False)]
        if arguments:
            wait_until_joined(gateway)
            eventually(lambda: metric(gateway, "channels") == count)
            assert len(redis.ask("CLIENT", "LIST").splitlines()) < 5, "a connection for each poll"
        # Each is told of its own poll.
        with Wire(gateway) as voter:
            for start in range(0, count, 50):
                for poll in polls[start : start + 50]:
                    vote = {"poll_id": poll["id"], "option_id": poll["options"][1]["id"]}
                    voter.send(post_json("/votes/", vote | {"voter": "ada"}))
                for wire, poll in zip(wires[start:], polls[start : start + 50], strict=False):
                    assert voter.answer().status == 201
                    tally = take_of(wire, "tally")
                    assert (tally["poll_id"], tally["counts"]) == (poll["id"], [0, 1])
        assert all(each / (count // 2) < 20 << 10 for each in grown), grown
    if arguments:
        eventually(lambda: metric(gateway, "channels") == 0)


@pytest.mark.once
def test_who_looks_at_one_poll_after_the_other_holds_none_of_them(start_gateway):  # H09
    gateway = start_gateway()
    polls = [poll["id"] for poll in create_polls(gateway, 1_000)]
    resident = []
    with Wire(gateway) as wire:
        wire.handshake("/ws/")
        for start in range(0, len(polls), 100):
            some = polls[start : start + 100]
            wire.send(text({"type": "subscribe", "poll_ids": some}))
            for poll in some:
                assert take_of(wire, "snapshot")["poll"]["id"] == poll
            wire.send(text({"type": "unsubscribe", "poll_ids": some}))
            resident.append(gateway.resident_bytes())
        # Which leaves room for those that it may watch, and for no others.
        wire.send(text({"type": "subscribe", "poll_ids": polls[:128]}))
        assert [take_of(wire, "snapshot")["poll"]["id"] for _ in range(128)] == polls[:128]
    assert resident[-1] - resident[4] < 16 << 20, resident


@pytest.mark.once
@pytest.mark.parametrize("fields", [(), ("Sec-WebSocket-Extensions: permessage-deflate",)],
                         ids=["plain", "compressed"])  # fmt: skip
def test_an_idle_socket_costs_some_kilobytes(start_gateway, fields):  # C23, D37, H04
    count = 2_000
    gateway = start_gateway()
    ping = b'{"type":"ping"}'
    hello = frame(TEXT, deflated(ping), reserved=RSV1) if fields else frame(TEXT, ping)
    with contextlib.ExitStack() as stack:
        open_sockets(stack, gateway, ["/ws/"] * 500, *fields)
        before = gateway.resident_bytes()
        wires = open_sockets(stack, gateway, ["/ws/"] * count, *fields)
        for wire in wires:
            wire.send(hello)
        for wire in wires:
            assert wire.take_message() == {"type": "pong"}
        assert (gateway.resident_bytes() - before) / count < 20 << 10
    eventually(lambda: descriptors(gateway) < 60)


def come_and_go(gateway, poll, count: int):
    """Plain requests, and viewers who leave with FIN and with RST."""
    path = f"/ws/polls/{poll.id}/"
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(gateway)) for _ in range(count)]
        for number, wire in enumerate(wires):
            wire.send(upgrade(path) if number % 3 else get("/polls/", "Connection: close"))
        for number, wire in enumerate(wires):
            assert wire.answer().status == (101 if number % 3 else 200)
            if number % 3 == 2:
                wire.reset()


@pytest.mark.once
def test_who_comes_and_goes_leaves_nothing_behind(start_gateway):  # H13
    gateway = start_gateway()
    poll = gateway.create_poll()
    with Onlookers(gateway) as onlookers:
        onlookers.vote()
        before = descriptors(gateway)
        come_and_go(gateway, poll, 300)
        resident = gateway.resident_bytes()
        for _ in range(8):
            come_and_go(gateway, poll, 300)
            assert onlookers.vote() < PATIENCE_MS
        eventually(lambda: descriptors(gateway) <= before + 2)
        assert gateway.resident_bytes() - resident < 8 << 20


@pytest.mark.once
def test_a_crowd_that_comes_at_once_is_let_in_and_nobody_who_is_in_is_lost(start_gateway):  # C17
    count = 2_000
    gateway = start_gateway()
    poll = gateway.create_poll()
    handshake = upgrade(f"/ws/polls/{poll.id}/")
    with Onlookers(gateway) as onlookers, contextlib.ExitStack() as stack:
        onlookers.vote()
        outcomes = collections.Counter()
        for outcome in ask_all(knock(gateway, count, stack), handshake, 30):
            outcomes[outcome] += 1
            if sum(outcomes.values()) % 500 == 0:
                assert onlookers.vote() < PATIENCE_MS
        assert outcomes["101"] + outcomes["503"] == count, outcomes
        assert outcomes["101"] > count // 2
        assert onlookers.vote() < PATIENCE_MS
    eventually(lambda: descriptors(gateway) < 60)
