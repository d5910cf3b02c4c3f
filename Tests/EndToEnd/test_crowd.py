"""A thousand viewers and ten thousand ballots: every viewer ends with the same exact tally."""

import asyncio
import json

import pytest
from websockets.asyncio.client import connect

from test_invariants import check_books
from voting import Receipts, join, start_voters

pytestmark = pytest.mark.alone

VIEWERS = 1000
BALLOTS = 10_000
HANDSHAKES_AT_ONCE = 50


async def watch(url: str, at_once: asyncio.Semaphore, arrived) -> dict:
    """Watches until the poll is closed; the last tally, checked never to fall on the way."""
    async with at_once:
        socket = await connect(url, proxy=None, compression=None, ping_interval=None)
    async with socket:
        newest = {"revision": 0, "total": 0}
        async for text in socket:
            message = json.loads(text)
            if message["type"] == "snapshot":
                assert newest["revision"] == 0
                newest["revision"] = message["poll"]["revision"]
                arrived()
            elif message["type"] == "tally":
                assert message["revision"] > newest["revision"]
                assert message["total"] >= newest["total"]
                newest = message
            elif message["type"] == "state":
                assert message["revision"] >= newest["revision"]
                return newest
    raise AssertionError("closed before the poll was")


async def vote_before_a_crowd(gateway, poll, receipts: Receipts) -> list[dict]:
    """All viewers' last tallies, after all ballots were cast before their eyes."""
    everybody, present = asyncio.Event(), 0

    def arrived():
        nonlocal present
        present += 1
        if present == VIEWERS:
            everybody.set()

    url = f"{gateway.websocket_url}/ws/polls/{poll.id}/"
    at_once = asyncio.Semaphore(HANDSHAKES_AT_ONCE)
    crowd = asyncio.gather(*(watch(url, at_once, arrived) for _ in range(VIEWERS)))
    await asyncio.wait_for(everybody.wait(), 60)

    def names_of(prefix: str) -> list[str]:
        return [f"{prefix} {number}" for number in range(BALLOTS // 4)]

    def cast_all():
        join(start_voters(gateway, poll, receipts, names_of))
        gateway.close(poll)

    await asyncio.to_thread(cast_all)
    return await asyncio.wait_for(crowd, 60)


@pytest.mark.timeout(300)
def test_a_thousand_viewers_all_get_the_final_tally_of_ten_thousand_ballots(start_gateway):
    gateway = start_gateway("--tick", "250ms")
    poll = gateway.create_poll(["a", "b", "c", "d"])
    receipts = Receipts()
    finals = asyncio.run(vote_before_a_crowd(gateway, poll, receipts))
    assert len(finals) == VIEWERS
    expected = receipts.counts(poll)
    assert sum(expected) == BALLOTS
    assert [final for final in finals if final["counts"] != expected] == []
    assert {final["total"] for final in finals} == {BALLOTS}
    check_books(gateway, poll, receipts)
