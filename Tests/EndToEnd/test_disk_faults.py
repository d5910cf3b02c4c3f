"""SQLite's disk is full, fails, or is slow: BAD_INPUT K16, K17 and K23."""

import contextlib
import shutil
import time
from pathlib import Path

import pytest

import faults
from gateway import eventually, limits
from live import Viewer
from onlookers import Onlookers
from test_faults import PATIENCE_MS

pytestmark = pytest.mark.sqlite


def test_a_full_disk_refuses_ballots_until_there_is_room(start_gateway, tmp_path):  # K16
    folder = tmp_path / "small"
    folder.mkdir()
    gateway = start_gateway(
        *limits(commit_timeout="2s"), folder=folder, under=faults.on_a_small_disk(folder, "4m")
    )
    inside = Path(f"/proc/{gateway.process.pid}/root{folder}")
    poll = gateway.create_poll()
    counted = []
    with Onlookers(gateway, 3) as onlookers:
        filler = inside / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        for number in range(2000):
            answer = gateway.vote(poll, 0, f"voter {number} {'x' * 150}")
            if answer.status_code != 201:
                assert answer.status_code in (503, 504)
                break
            counted.append(number)
        else:
            raise AssertionError("the disk was never full")
        eventually(lambda: gateway.ops("GET", "/readyz").status_code == 503)
        assert gateway.ops("GET", "/livez").status_code == 200
        filler.unlink()
        eventually(lambda: gateway.vote(poll, 0, "afterwards").status_code in (200, 201))
        assert onlookers.vote() < PATIENCE_MS
    assert gateway.results(poll)["total"] >= len(counted) + 1
    assert gateway.audit(poll)["consistent"] is True
    copy = tmp_path / "copy"
    shutil.copytree(inside, copy)
    assert faults.integrity(copy / "pollstream.db") == "ok"


@pytest.mark.skipif(not faults.can_trace(), reason="no process may be traced here")
@pytest.mark.parametrize("call", ["fdatasync", "pwrite64"])
def test_a_disk_that_fails_confirms_nothing(start_gateway, call):  # K17
    gateway = start_gateway(*limits(commit_timeout="2s"))
    poll = gateway.create_poll()
    counted = [gateway.cast(poll, 0, "before")]
    with Viewer(gateway, f"/ws/polls/{poll.id}/") as viewer:
        viewer.until("snapshot")
        with faults.injected(gateway, f"{call}:error=EIO"):
            for number in range(3):
                answer = gateway.vote(poll, 0, f"voter {number}")
                assert answer.status_code in (503, 504), answer.text
            viewer.said_by_now()
        eventually(lambda: gateway.vote(poll, 0, "after").status_code in (200, 201))
        viewer.said_by_now()
    assert gateway.results(poll)["total"] == gateway.stored_ballots() >= len(counted) + 1
    assert gateway.audit(poll)["consistent"] is True


@pytest.mark.alone
@pytest.mark.skipif(not faults.can_trace(), reason="no process may be traced here")
def test_a_slow_disk_makes_batches_and_stalls_no_loop(start_gateway):  # K23
    gateway = start_gateway()
    poll = gateway.create_poll()
    with Viewer(gateway, f"/ws/polls/{poll.id}/") as viewer:
        viewer.until("snapshot")
        with faults.injected(gateway, "fdatasync:delay_enter=200ms"):
            began = time.monotonic()
            for number in range(100):
                viewer.send(type="vote", ref=str(number), poll_id=poll.id,
                            option_ids=poll.options[:1], voter=f"voter {number}")  # fmt: skip
            assert viewer.socket.ping().wait(0.5), "a ping waits for the disk"
            for _ in range(100):
                viewer.until("ack")
            assert 0.2 < time.monotonic() - began < 5, "a hundred ballots, one by one"
    assert gateway.stored_ballots() == 100


@pytest.mark.parametrize("taken", ["-shm", "-wal"])
def test_what_is_taken_away_beside_the_database_is_recovered_or_told(start_gateway, taken):  # K19
    gateway = start_gateway()
    poll = gateway.create_poll()
    for number in range(20):
        gateway.cast(poll, 0, f"voter {number}")
    gateway.kill()
    path = gateway.store.path
    path.with_name(path.name + taken).unlink()
    again = start_gateway(store=gateway.store, folder=gateway.folder)
    told = "the ballots counted last may be missing"
    if taken == "-shm":
        assert again.results(poll)["total"] == 20
        assert told not in again.log_text()
    else:
        again.wait_for_line(told, "-wal")
        again.stop()
        once_more = start_gateway(store=gateway.store, folder=gateway.folder)
        assert told not in once_more.log_text(), "said once"
