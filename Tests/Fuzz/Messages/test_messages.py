"""What a run has to find is found, and a gateway that does well passes. No time is asserted but
that of a server that never answers again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "EndToEnd"))

from seeds import Site, Target  # noqa: E402
from sessions import End, Sessions  # noqa: E402

FOUND = {
    "fault": "an answer 500 about session",
    "hang": "a hang: no answer to a",
    "spin": "a hang: no answer to a",
    "die": "the process is gone: exit -6",
    "report": "a report: WARNING: ThreadSanitizer: data race",
    "closed": "too little is read:",
    "shallow": "too little is reached:",
    "forget": "a wrong answer: ",
    "leak": "left behind: an export is answered 503",
    "lose": "counted votes are stored",
    "miscount": "left behind: the audit says",
    "end": "the process is gone: exit 66",
}


# Where time is what has to pass.
HURRY = {
    "hang": ("--bound", "3"), "spin": ("--bound", "3"), "leak": ("--settling", "1"),
    "lose": ("--settling", "1"), "miscount": ("--settling", "1"),
}  # fmt: skip


def outcome(mistake: str, folder: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, HERE / "messages.py", HERE / "fake_gateway.py", "fake",
         "--messages", "1500", "--bound", "60", "--findings", folder, *HURRY.get(mistake, ())],
        env=os.environ | {"FAKE_MISTAKE": mistake}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


def test_a_gateway_that_does_well_passes(tmp_path):
    done = outcome("none", tmp_path)
    assert done.returncode == 0 and "clean" in done.stdout, done.stdout + done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("mistake", FOUND)
def test_a_mistake_is_found(mistake, tmp_path):
    done = outcome(mistake, tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert FOUND[mistake] in done.stdout, done.stdout + done.stderr
    assert (tmp_path / "messages-fake.log").exists()


def site(key: str) -> Site:
    def polls(*numbers):
        return [Target(number, [number * 10, number * 10 + 1], key, "ABC123") for number in numbers]

    return Site(polls(1, 2), polls(3, 4))


def test_the_same_seed_sends_the_same():
    first, second = (Sessions("7", site("psh_" + "a" * 40)) for _ in range(2))
    other = Sessions("8", site("psh_" + "a" * 40))
    assert [first[number] for number in range(300)] == [second[number] for number in range(300)]
    assert [first[number] for number in range(300)] != [other[number] for number in range(300)]


def test_another_key_of_that_length_changes_nothing_else():
    one, other = (Sessions("7", site("psh_" + letter * 40)) for letter in "ab")
    for number in range(300):
        first, second = one[number], other[number]
        assert list(map(len, first.pieces)) == list(map(len, second.pieces))
        assert (first.message_count, first.end) == (second.message_count, second.end)


def test_sessions_are_of_every_kind():
    sessions = [Sessions("7", site("psh_key"))[number] for number in range(2_000)]
    sent = [b"".join(session.pieces) for session in sessions]
    assert {session.end for session in sessions} == set(End)
    for begin in (b"POST /votes/ HTTP/1.1\r\n", b"GET /ws/ HTTP/1.1\r\n", b"PROXY TCP4 ",
                  b"\r\n\r\n\0\r\nQUIT\n", b"\x16\x03\x01"):  # fmt: skip
        assert any(each.startswith(begin) for each in sent), begin
    for part in (b"/api/vote/", b"permessage-deflate", b"Transfer-Encoding: chunked", b"/events/"):
        assert any(part in each for each in sent), part
    assert any(each.count(b"HTTP/1.1\r\n") > 10 for each in sent), "none is pipelined"
    assert any(len(session.pieces) > 100 for session in sessions), "none comes byte by byte"
