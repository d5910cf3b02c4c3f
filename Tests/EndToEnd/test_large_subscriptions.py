"""Many polls of the largest size on one socket: more than a connection's buffer holds."""

import time

import pytest

from live import Viewer

POLLS = 100
OPTIONS = 20


def large_polls(gateway):
    return [
        gateway.create_poll([f"{number}" + "x" * 190 for number in range(OPTIONS)])
        for _ in range(POLLS)
    ]


@pytest.mark.parametrize("ref", [None, "mine"])
def test_a_socket_may_subscribe_to_all_of_them_at_once(start_gateway, ref):
    gateway = start_gateway()
    polls = large_polls(gateway)
    ids = [poll.id for poll in polls]
    with Viewer(gateway) as viewer:
        viewer.send(type="subscribe", poll_ids=ids, **({"ref": ref} if ref else {}))
        # Somebody votes before the snapshots are all there: no tally precedes its snapshot.
        gateway.cast(polls[-1], 0, "ada")
        time.sleep(1)
        seen, revisions = [], {}
        while len(seen) < POLLS:
            message = viewer.receive()
            if message["type"] == "snapshot":
                assert message.get("ref") == ref
                seen.append(message["poll"]["id"])
                revisions[message["poll"]["id"]] = message["poll"]["revision"]
            elif message["type"] == "tally":
                assert message["revision"] >= revisions[message["poll_id"]]
        assert seen == ids
        gateway.cast(polls[0], 0, "bob")
        assert viewer.until("tally", poll_id=ids[0])["total"] == 1
