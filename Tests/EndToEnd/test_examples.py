"""The example clients of docs/clients.md, as somebody would try them out."""

import json
import subprocess
import sys

import pytest

from gateway import REPOSITORY

EXAMPLES = REPOSITORY / "docs" / "examples"


def vote(gateway, poll, choice, cookies) -> subprocess.CompletedProcess:
    option = poll.options[choice] if isinstance(choice, int) else choice
    return subprocess.run(
        [EXAMPLES / "vote.sh", gateway.url, str(poll.id), str(option), cookies],
        capture_output=True, text=True, timeout=50,
    )  # fmt: skip


def test_curl_alone_votes_as_one_voter_for_each_file_of_cookies(gateway, poll, tmp_path):
    first = vote(gateway, poll, 0, tmp_path / "ada")
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout)["status"] == "counted"
    again = vote(gateway, poll, 0, tmp_path / "ada")
    assert again.returncode == 0
    assert json.loads(again.stdout)["repeated"]
    other = vote(gateway, poll, 1, tmp_path / "ada")
    assert other.returncode == 1
    assert json.loads(other.stderr)["error"]["code"] == "already_voted"
    assert vote(gateway, poll, 1, tmp_path / "bob").returncode == 0
    assert gateway.results(poll)["counts"] == [1, 1]


def test_curl_alone_is_told_what_is_wrong(gateway, poll, tmp_path):
    wrong = vote(gateway, poll, "999999", tmp_path / "ada")
    assert wrong.returncode == 1
    assert json.loads(wrong.stderr)["error"]["code"] == "option_not_found"


def test_curl_alone_waits_for_a_gateway_that_is_away(start_gateway, tmp_path):
    gateway = start_gateway()
    poll = gateway.create_poll()
    port = gateway.address[1]
    gateway.kill()
    waiting = subprocess.Popen(
        [EXAMPLES / "vote.sh", gateway.url, str(poll.id), str(poll.options[0]), tmp_path / "ada"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(0.5)
        second = start_gateway(
            "--listen", f"127.0.0.1:{port}", without=("--listen",), store=gateway.store
        )
        said = waiting.communicate(timeout=50)[0]
        assert waiting.returncode == 0, said
        assert second.results(poll)["counts"] == [1, 0]
    finally:
        waiting.kill()
        waiting.wait()


def test_python_follows_through_a_crash_to_the_close(start_gateway):
    gateway = start_gateway()
    poll = gateway.create_poll()
    port = gateway.address[1]
    follower = subprocess.Popen(
        [sys.executable, "-u", EXAMPLES / "follow.py", gateway.url, str(poll.id)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        seen = [follower.stdout.readline()]
        assert seen == [f"{poll.id} open 0 0 0\n"]
        gateway.cast(poll, 0, "ada")
        seen.append(follower.stdout.readline())
        assert seen[-1] == f"{poll.id} open 1 1 0\n"
        gateway.kill()
        second = start_gateway(
            "--listen", f"127.0.0.1:{port}", without=("--listen",), store=gateway.store
        )
        second.cast(poll, 1, "bob")
        second.close(poll)
        seen += follower.communicate(timeout=50)[0].splitlines(keepends=True)
        assert follower.returncode == 0
        assert seen[-1] == f"{poll.id} closed\n" or seen[-1] == f"{poll.id} closed 2 1 1\n", seen
        assert any(line.split()[2:] == ["2", "1", "1"] for line in seen), seen
    finally:
        follower.kill()
        follower.wait()


def test_python_ends_with_the_reason_where_nothing_can_be_followed(gateway):
    done = subprocess.run(
        [sys.executable, EXAMPLES / "follow.py", gateway.url, "999999"],
        capture_output=True, text=True, timeout=50,
    )  # fmt: skip
    assert done.returncode == 1
    assert "poll_not_found" in done.stderr
