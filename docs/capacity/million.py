#!/usr/bin/env python3
"""A million viewers of one poll on a hundred gateways, in numbers.

    docs/capacity/million.py             prints the tables of docs/capacity.md
    docs/capacity/million.py --check     compares them with the page, and checks the arithmetic

What was measured stands in MEASURED, with where it comes from; everything else is arithmetic, but
for two simulations: a vote's way to the screens of all gateways, and the return of the viewers of
lost gateways.
"""

import bisect
import dataclasses
import pathlib
import random
import sys

MICROSECOND = 1e-6


@dataclasses.dataclass(frozen=True)
class Measured:
    """Two cores of an AMD EPYC; Benchmarks/RESULTS.md unless said otherwise."""

    # `storm`, 5,000 viewers and 10,000 viewers: all CPU of the gateway but for the votes' own,
    # divided by deliveries: 5.2 and 4.6 µs.
    delivery: float = 5 * MICROSECOND
    # `connect`, a core each: accept, handshake and snapshot.
    socket: float = 32 * MICROSECOND
    # `idle`: user memory of a viewer; the kernel's part of a socket that has sent and read.
    viewer_bytes: int = 336
    kernel_bytes: int = 5_000
    # `votes --rate 1000`, PostgreSQL: a lone ballot's answer, of which the commit is the most. A
    # poll's row is locked for its commit: this bounds its commits through all gateways.
    commit: float = 450 * MICROSECOND
    # docs/capacity/redis_fanout.py: messages that come one by one, and ten together.
    redis_alone: float = 7 * MICROSECOND
    redis_together: float = 1 * MICROSECOND


@dataclasses.dataclass(frozen=True)
class Plan:
    viewers: int = 1_000_000
    gateways: int = 100
    loops: int = 2
    tick: float = 0.050
    votes: int = 50_000  # a second, while the question is fresh
    lost: int = 5


MEASURED, PLAN = Measured(), Plan()

TALLY = (
    '{"type":"tally","poll_id":7,"revision":1790000000123,"total":1000000,'
    '"counts":[250000,250000,250000,250000],"at":1790000000122}'
)
RELAYED = (
    "1 tally 0123456789abcdef 7 1790000000123 1000000 1790000000122 250000,250000,250000,250000 "
    + "0" * 32
)
CHANNEL = "pollstream:0123456789ab:poll:7"


def on_the_wire(payload: int) -> int:
    """Of one packet: IPv4 and TCP with timestamps, Ethernet with preamble and gap."""
    return payload + 20 + 32 + 38


def frame_bytes(text: str) -> int:
    """Of an unmasked WebSocket frame (RFC 6455 §5.2)."""
    return len(text) + (2 if len(text) < 126 else 4)


def redis_bytes(channel: str, message: str) -> int:
    """Of a message as a subscriber gets it."""
    words = "message", channel, message
    return len("*3\r\n") + sum(len(f"${len(word)}\r\n{word}\r\n") for word in words)


def rows_of_a_gateway(plan: Plan) -> list[tuple[str, str]]:
    viewers = plan.viewers / plan.gateways
    sweep = viewers * MEASURED.delivery / plan.loops
    tallies = 1 / max(plan.tick, sweep)
    packet = on_the_wire(frame_bytes(TALLY))
    return [
        ("viewers of a gateway", f"{viewers:,.0f}"),
        ("CPU of a sweep: viewers × 5 µs", f"{viewers * MEASURED.delivery * 1e3:,.0f} ms"),
        (f"a sweep takes, on {plan.loops} loops", f"{sweep * 1e3:,.0f} ms"),
        ("tallies a second to each viewer", f"{tallies:,.0f}"),
        ("cores", f"{tallies * viewers * MEASURED.delivery:.1f}"),
        ("bytes of a tally: frame, packet", f"{frame_bytes(TALLY)}, {packet}"),
        ("packets a second", f"{tallies * viewers:,.0f}"),
        ("out of a gateway", f"{tallies * viewers * packet * 8 / 1e6:,.0f} Mbit/s"),
        ("out of all of them", f"{tallies * plan.viewers * packet * 8 / 1e9:,.0f} Gbit/s"),
        ("memory: user, kernel", f"{viewers * MEASURED.viewer_bytes / 1e6:.1f} MB, "
                                 f"{viewers * MEASURED.kernel_bytes / 1e6:.0f} MB"),
    ]  # fmt: skip


def rows_of_redis(plan: Plan) -> list[tuple[str, str]]:
    commits = min(plan.votes, 1 / MEASURED.commit)
    deliveries = commits * plan.gateways
    size = redis_bytes(CHANNEL, RELAYED)
    return [
        ("votes a second", f"{plan.votes:,}"),
        ("commits of the poll a second, at most", f"{commits:,.0f}"),
        ("ballots in a commit", f"{plan.votes / commits:,.0f}"),
        ("tallies into Redis a second, at most", f"{commits:,.0f}"),
        ("tallies out of it a second, at most", f"{deliveries:,.0f}"),
        ("bytes of one", f"{size}"),
        ("out of the node that has the poll", f"{deliveries * size * 8 / 1e6:,.0f} Mbit/s"),
        ("its CPU, one by one", f"{deliveries * MEASURED.redis_alone:.1f} cores"),
        ("its CPU, ten in a write", f"{deliveries * MEASURED.redis_together:.1f} cores"),
        ("numbers of viewers, a second at most", f"{plan.gateways * plan.gateways:,}"),
        ("questions to the database a second", f"{plan.gateways * plan.loops:,}"),
        ("connections to the database", f"{plan.gateways * 4:,}"),
    ]


def to_the_screens(plan: Plan, seconds: float = 2.0) -> list[float]:
    """From votes to the screens that show them, sorted: each commit, each message of Redis and each
    sweep of each loop in its order of time; of the votes one of each commit, of a loop's viewers
    the first, the middle and the last.

    Gateways take turns at the row of the poll. Redis is one queue. A loop begins a sweep when it
    has something new, a tick has passed and its last sweep has ended; a sweep shows what was newest
    when it began."""
    chance = random.Random(7)
    turn = plan.gateways * MEASURED.commit  # until a gateway may commit again
    votes, committed = [], []
    for number in range(int(seconds / MEASURED.commit)):
        ends = (number + 1) * MEASURED.commit
        # A ballot that came since the last turn of its gateway began.
        votes.append(ends - MEASURED.commit - chance.random() * turn)
        committed.append(ends)
    heard = [[] for _ in range(plan.gateways)]
    free = 0.0
    for ends in committed:
        # It writes ten together where it is behind.
        cost = MEASURED.redis_alone if ends >= free else MEASURED.redis_together
        free = max(free, ends)
        for gateway in heard:
            free += cost
            gateway.append(free)
    sweep = plan.viewers / plan.gateways / plan.loops * MEASURED.delivery
    pause = max(plan.tick, sweep)
    taken = []
    for gateway in heard:
        for _ in range(plan.loops):
            begins, next_shown = chance.random() * pause, 0
            while next_shown < len(gateway):
                begins = max(begins, gateway[next_shown])
                known = bisect.bisect_right(gateway, begins)
                for vote in votes[next_shown:known]:
                    taken += (begins + share * sweep - vote for share in (0.0, 0.5, 1.0))
                next_shown = known
                begins += pause
    return sorted(taken)


def rows_of_a_vote(plan: Plan) -> list[tuple[str, str]]:
    taken = to_the_screens(plan)
    at = [taken[int(share * len(taken))] * 1e3 for share in (0.5, 0.9, 0.99)]
    turn = plan.gateways * MEASURED.commit * 1e3
    return [
        ("a gateway's turn at the row of the poll, every", f"{turn:.0f} ms"),
        ("from a vote to a screen: p50, p90, p99", "{:.0f}, {:.0f}, {:.0f} ms".format(*at)),
        ("the same, most", f"{taken[-1] * 1e3:.0f} ms"),
    ]


@dataclasses.dataclass
class Return:
    """How viewers come back whose gateways are gone."""

    away: list[float]
    busiest: int  # most that connect within a tenth of a second, through all balancers

    def percentile(self, share: float) -> float:
        return self.away[min(len(self.away) - 1, int(share * len(self.away)))]


def come_back(plan: Plan, notice: tuple[float, float], detect: float, redispatches: bool) -> Return:
    """Each viewer notices after `notice` seconds, and tries as client/backoff.js does: after a
    random part of 0.5 s, then of 1 s, and so on. Without redispatch a try fails until the balancer
    has noticed: it is sent to a gateway that is gone, which has the fewest connections."""
    chance = random.Random(7)
    viewers = plan.viewers // plan.gateways * plan.lost
    away, tenths = [], {}
    for _ in range(viewers):
        now, failures = chance.uniform(*notice), 0
        noticed = now
        while True:
            now += chance.random() * min(30.0, 0.5 * 2**failures)
            if redispatches or now >= detect:
                break
            failures += 1
        tenths[int(now * 10)] = tenths.get(int(now * 10), 0) + 1
        away.append(now - noticed)
    return Return(sorted(away), max(tenths.values()))


def rows_of_a_storm(plan: Plan) -> list[tuple[str, str, str, str]]:
    cases = [
        ("killed, redispatch", come_back(plan, (0, 0), 2.0, True)),
        ("killed, noticed after 2 s", come_back(plan, (0, 0), 2.0, False)),
        ("machines without power", come_back(plan, (30, 35), 2.0, True)),
    ]
    survivors = plan.gateways - plan.lost
    return [
        (name, f"{back.percentile(0.5):.2f}, {back.percentile(0.99):.2f}, {back.away[-1]:.2f} s",
         f"{back.busiest:,}",
         f"{back.busiest / survivors * MEASURED.socket / 0.1:.1%}")
        for name, back in cases
    ]  # fmt: skip


def rows_after(plan: Plan) -> list[tuple[str, str]]:
    survivors = plan.gateways - plan.lost
    viewers = plan.viewers / survivors
    each = viewers - plan.viewers / plan.gateways
    sweep = viewers * MEASURED.delivery / plan.loops
    return [
        ("come to each gateway that is left", f"{each:,.0f}"),
        ("CPU of their connecting, each gateway", f"{each * MEASURED.socket * 1e3:,.0f} ms"),
        ("viewers of a gateway then", f"{viewers:,.0f}"),
        ("a sweep takes then", f"{sweep * 1e3:,.0f} ms"),
    ]


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def tables(plan: Plan) -> list[str]:
    return [
        table(("each gateway", ""), rows_of_a_gateway(plan)),
        table(("between them", ""), rows_of_redis(plan)),
        table(("a vote", ""), rows_of_a_vote(plan)),
        table(
            (
                "5 of 100 gateways",
                "away: p50, p99, max",
                "most in 0.1 s, in all",
                "of a core, each that is left",
            ),
            rows_of_a_storm(plan),
        ),
        table(("after that", ""), rows_after(plan)),
    ]


def check():
    """Laws that the arithmetic must keep, and the page that shows it."""
    assert frame_bytes("x" * 125) == 127 and frame_bytes("x" * 126) == 130
    assert redis_bytes("a", "b") == len("*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n")
    # A gateway with everybody, and half as many gateways: twice the sweep, and the tick stretches.
    crowded = dict(rows_of_a_gateway(dataclasses.replace(PLAN, gateways=25)))
    assert crowded["a sweep takes, on 2 loops"] == "100 ms", crowded
    assert crowded["tallies a second to each viewer"] == "10", crowded
    # One vote a second is one tally, however fast the database.
    assert dict(rows_of_redis(dataclasses.replace(PLAN, votes=1)))[
        "tallies out of it a second, at most"] == "100"  # fmt: skip
    # One gateway, one viewer, one loop: half a tick and a commit at the median, a tick at most.
    alone = dataclasses.replace(PLAN, viewers=1, gateways=1, loops=1)
    taken = to_the_screens(alone, seconds=2)
    assert MEASURED.commit <= taken[0] and taken[-1] <= PLAN.tick + 0.002, (taken[0], taken[-1])
    assert abs(taken[len(taken) // 2] - PLAN.tick / 2) < 0.003
    # Twice the viewers of a gateway whose sweep takes longer than a tick: twice the wait.
    slow, slower = (
        to_the_screens(dataclasses.replace(alone, viewers=count), seconds=4)
        for count in (40_000, 80_000)
    )
    assert abs(slower[len(slower) // 2] / slow[len(slow) // 2] - 2) < 0.1
    # Full jitter: half of 0.5 s at the median, and nobody later than 0.5 s if the first try holds.
    back = come_back(PLAN, (0, 0), 2.0, True)
    assert len(back.away) == 50_000 and back.away[-1] <= 0.5
    assert abs(back.percentile(0.5) - 0.25) < 0.01
    assert 9_000 < back.busiest < 11_000
    late = come_back(PLAN, (0, 0), 2.0, False)
    assert late.away[0] >= 2.0 and late.busiest < back.busiest
    page = pathlib.Path(__file__).parent.with_suffix(".md").read_text()
    for shown in tables(PLAN):
        assert shown in page, f"docs/capacity.md does not show:\n{shown}"
    print("the page shows what the arithmetic gives")


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        check()
    else:
        print("\n\n".join(tables(PLAN)))
