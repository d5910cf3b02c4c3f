"""Gateways that are killed under thousands of ballots, and crowds that are sent away at once:
BAD_INPUT K01 and K08."""

import contextlib
import selectors
import time

import pytest

import faults
from answers import rows
from gateway import eventually
from test_many_sockets import open_sockets
from voting import Ballot, Receipts, cast_over_websocket, in_threads, join
from wire import Wire, text

pytestmark = pytest.mark.takes(15)

CRASHES = 2
SOCKETS = 4
EACH = 1_000


class Voter:
    """One socket that casts all its ballots without waiting for an answer, until it ends."""

    def __init__(self, gateway, poll, names: list[str]):
        self.names, self.acked = names, set()
        self._poll, self._wire = poll, Wire(gateway)
        assert self._wire.handshake("/ws/").status == 101
        self.threads = in_threads((self._send,), (self._read,))

    def _send(self):
        for start in range(0, len(self.names), 100):
            self._wire.send(
                b"".join(
                    text({"type": "vote", "ref": name, "poll_id": self._poll.id, "voter": name,
                          "option_ids": [self.option_of(name)]})
                    for name in self.names[start : start + 100]
                )
            )  # fmt: skip

    def option_of(self, name: str) -> int:
        return self._poll.options[len(name) % len(self._poll.options)]

    def _read(self):
        with contextlib.suppress(AssertionError, OSError):
            while True:
                message = self._wire.take_message()
                if message["type"] == "ack":
                    self.acked.add(message["ref"])


@pytest.mark.timeout(120)
def test_thousands_of_ballots_are_under_way_when_it_is_killed(start_gateway):  # K01
    gateway = start_gateway()
    poll = gateway.create_poll(["a", "b", "c"])
    sent, acked, lost = {}, set(), 0
    for crash in range(CRASHES):
        voters = [
            Voter(gateway, poll, [f"{crash} {side} {'x' * (n % 3)}{n}" for n in range(EACH)])
            for side in range(SOCKETS)
        ]
        eventually(lambda v=voters: sum(len(voter.acked) for voter in v) > EACH, 60)
        gateway.kill()
        for voter in voters:
            join(voter.threads)
            sent |= {name: voter.option_of(name) for name in voter.names}
            acked |= voter.acked
            lost += len(voter.names) - len(voter.acked)
        began = time.monotonic()
        gateway.start()
        assert gateway.ops("GET", "/readyz").status_code == 200
        assert time.monotonic() - began < 10
        stored = {row["voter"]: int(row["option_ids"]) for row in rows(gateway.ballots_csv(poll))}
        assert acked - set(stored) == set(), "an answered ballot is gone"
        assert stored.items() <= sent.items(), "nobody cast this"
    assert lost > 0, "nothing was under way"
    # Whoever was not answered asks again, and counts once.
    receipts = Receipts()
    again = [Ballot(name, option) for name, option in sent.items() if name not in acked]
    join(
        in_threads(*((cast_over_websocket, gateway, poll, again[n::4], receipts) for n in range(4)))
    )
    assert set(receipts.outcomes.values()) <= {"counted", "repeated"}
    assert gateway.stored_ballots() == len(sent) == gateway.results(poll)["total"]
    assert gateway.results(poll)["counts"] == [
        list(sent.values()).count(option) for option in poll.options
    ]
    assert gateway.audit(poll)["consistent"] is True


CROWD = 400
GOING_AWAY = (1001).to_bytes(2)


def times_of_return(wires: list[Wire], gateway) -> list[float]:
    """Each comes back to this gateway as soon as its socket is closed, asking for nothing more than
    that: when, in seconds from the first one on."""
    with selectors.DefaultSelector() as selector, contextlib.ExitStack() as stack:
        for wire in wires:
            selector.register(wire.socket, selectors.EVENT_READ)
        times = []
        deadline = time.monotonic() + 30
        while selector.get_map():
            assert time.monotonic() < deadline, f"{len(times)} of {len(wires)} were closed"
            for key, _ in selector.select(1):
                data = b""
                with contextlib.suppress(ConnectionError):
                    data = key.fileobj.recv(1 << 16)
                if data and GOING_AWAY not in data:
                    continue
                selector.unregister(key.fileobj)
                key.fileobj.close()
                times.append(time.monotonic())
                assert stack.enter_context(Wire(gateway)).handshake("/ws/").status == 101
        return [each - times[0] for each in times]


@pytest.mark.once
def test_a_crowd_that_is_sent_away_does_not_come_back_all_at_once(start_gateway):  # K08
    old, new = start_gateway("--drain", "4s"), start_gateway()
    with contextlib.ExitStack() as stack:
        wires = open_sockets(stack, old, ["/ws/"] * CROWD)
        used = faults.cpu_seconds(new)
        old.terminate()
        with new.alive():
            times = times_of_return(wires, new)
        assert faults.cpu_seconds(new) - used < 2
    assert len(times) == CROWD
    quarter = max(times) / 4
    assert quarter > 0.25
    shares = [sum(n * quarter <= each < (n + 1) * quarter for each in times) for n in range(4)]
    assert all(CROWD / 20 < share < CROWD / 2 for share in shares), shares
    assert old.wait() == 0
