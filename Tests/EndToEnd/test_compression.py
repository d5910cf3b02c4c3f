"""permessage-deflate as PyPI `websockets` speaks it."""

import re

import pytest

from live import Viewer

# The store makes no difference.
pytestmark = pytest.mark.once

OPTIONS = [f"{number} of twenty, and a text that says so at length" for number in range(20)]


def metric(gateway, name):
    found = re.search(rf"^pollstream_{name} (\d+)", gateway.ops("GET", "/metrics").text, re.M)
    return int(found[1])


def agreed_on(viewer):
    return viewer.socket.response.headers.get("Sec-WebSocket-Extensions")


def test_viewers_hear_the_same_with_it_and_without(start_gateway):
    gateway = start_gateway()
    poll = gateway.create_poll(OPTIONS)
    path = f"/ws/polls/{poll.id}/"
    with Viewer(gateway, path) as one, Viewer(gateway, path, compression=None) as other:
        assert agreed_on(one) == (
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
        )
        assert agreed_on(other) is None
        assert metric(gateway, "deflating_connections") == 1
        for viewer in (one, other):
            snapshot = viewer.until("snapshot")
            assert [option["text"] for option in snapshot["poll"]["options"]] == OPTIONS
            viewer.vote(poll, 0, voter="ada" if viewer is one else "bob")
        for viewer in (one, other):
            gateway.cast(poll, 1, f"{viewer is one}")
            viewer.until("tally", total=3 + (viewer is other))
    # One frame of one poll, or one of each viewer: the small ones leave as they are.
    assert metric(gateway, "deflated_messages_total") >= 1
    assert metric(gateway, "inflated_messages_total") >= 1
    before = metric(gateway, "deflate_in_bytes_total")
    assert metric(gateway, "deflate_out_bytes_total") < before / 2


@pytest.mark.parametrize("threshold, compressed", [("off", None), ("0", True), ("1MiB", False)])
def test_the_threshold_is_the_operators(start_gateway, threshold, compressed):
    gateway = start_gateway("--compress-above", threshold)
    poll = gateway.create_poll(OPTIONS)
    with Viewer(gateway, f"/ws/polls/{poll.id}/") as viewer:
        viewer.until("snapshot")
        assert (agreed_on(viewer) is None) == (compressed is None)
        deflated = metric(gateway, "deflated_messages_total")
        assert (deflated > 0) == (compressed is True)
