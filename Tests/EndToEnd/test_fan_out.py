"""The two ways of a tally to the kernel, a call per viewer or io_uring for many at once, do the
same."""

import ctypes
import struct
import subprocess

import pytest

from follower import Follower
from gateway import binary, clean_environment
from live import Viewer
from voting import Receipts, ballots_for, cast_over_websocket, in_threads, join

pytestmark = pytest.mark.once

IO_URING_SETUP = 425
EPERM = 1


def forbid_io_uring():
    """As the default profile of a container does: io_uring_setup fails with EPERM."""
    load, jump_if_equal, give = 0x20, 0x15, 0x06
    allow, refuse = 0x7FFF0000, 0x00050000 | EPERM
    program = b"".join(
        struct.pack("HBBI", *words)
        for words in (
            (load, 0, 0, 0),
            (jump_if_equal, 0, 1, IO_URING_SETUP),
            (give, 0, 0, refuse),
            (give, 0, 0, allow),
        )
    )
    kept = ctypes.create_string_buffer(program)
    filter_program = struct.pack("HxxxxxxP", 4, ctypes.addressof(kept))
    libc = ctypes.CDLL(None, use_errno=True)
    no_new_privileges, set_filter, filter_mode = 38, 22, 2
    assert libc.prctl(no_new_privileges, 1, 0, 0, 0) == 0
    assert libc.prctl(set_filter, filter_mode, filter_program) == 0


def check(*arguments, forbidden: bool):
    return subprocess.run(
        [binary(), "check", "--listen", "127.0.0.1:0", "--ops-listen", "off",
         "--database", "sqlite:/nonexistent.db", *arguments],
        env=clean_environment(), capture_output=True, text=True,
        preexec_fn=forbid_io_uring if forbidden else None,
    )  # fmt: skip


@pytest.mark.parametrize("way", ["send", "uring"])
def test_every_viewer_ends_with_the_newest_tally(start_gateway, way):
    if way == "uring" and check("--fan-out", "uring", forbidden=False).returncode != 0:
        way = "auto"  # a machine that forbids it
    gateway = start_gateway("--fan-out", way, "--tick", "5ms")
    gateway.wait_for_line(f"fan_out={way if way != 'auto' else 'send'}")
    poll = gateway.create_poll(["a", "b", "c"])
    followers = [Follower(gateway, poll) for _ in range(40)]
    with Viewer(gateway, f"/ws/polls/{poll.id}/") as slow:
        receipts = Receipts()
        names = [f"voter {number}" for number in range(5_000)]
        join(
            in_threads(
                *(
                    (cast_over_websocket, gateway, poll, ballots_for(poll, names[part::4]),
                     receipts)
                    for part in range(4)
                )
            )
        )  # fmt: skip
        assert set(receipts.outcomes.values()) == {"counted"}
        for follower in followers:
            follower.wait_for_total(5_000)
            follower.stop()
        assert slow.until("tally", total=5_000)
        # A close carries tally and state in one message of two parts.
        gateway.close(poll)
        slow.until("state", state="closed")


def test_where_io_uring_is_forbidden_auto_does_without():
    refused = check("--fan-out", "uring", forbidden=True)
    assert refused.returncode != 0
    assert "io_uring: Operation not permitted" in refused.stdout + refused.stderr
    assert "io_uring" not in check("--fan-out", "auto", forbidden=True).stderr
