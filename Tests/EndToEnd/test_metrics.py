"""What `/metrics` says is what clients have seen; Prometheus' own tool finds no fault with it."""

import contextlib
import subprocess
import threading
import time
from collections import Counter

import pytest

import prometheus
import stores
from events import EventStream
from gateway import limits
from live import Viewer
from redis import Redis
from wire import Wire, get

# What is measured is counted a moment after its client has it.
SETTLES_WITHIN = 15


@pytest.fixture(scope="module")
def redis():
    """Where gateways can use one: it joins those on PostgreSQL."""
    if stores.KIND == "sqlite":
        yield None
        return
    redis = Redis()
    yield redis
    redis.remove()


@pytest.fixture
def gateway(start_gateway, redis):
    return start_gateway(*(("--redis", redis.url) if redis else ()), "--retain", "1d")


def metrics(gateway) -> dict[str, float]:
    return prometheus.parse(gateway.ops("GET", "/metrics").text)


def by_label(samples: dict[str, float], name: str) -> dict[str, int]:
    """The samples of a family with one label that are not zero, by its value."""
    return {
        sample.split('"')[1]: int(value)
        for sample, value in samples.items()
        if sample.startswith(name + "{") and value
    }


def settle(gateway, condition) -> dict[str, float]:
    """Waits until `condition` holds of the samples, and returns them."""
    deadline = time.monotonic() + SETTLES_WITHIN
    while not condition(samples := metrics(gateway)):
        assert time.monotonic() < deadline, samples
        time.sleep(0.02)
    return samples


def test_prometheus_finds_no_fault_with_the_metrics(gateway):
    poll = gateway.create_poll()
    with Viewer(gateway, poll.path.replace("/polls", "/ws/polls")) as viewer:
        viewer.vote(poll, 0, voter="ada")
        text = gateway.ops("GET", "/metrics").text
    prometheus.parse(text)
    told = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=30
    )
    assert (told.returncode, told.stdout + told.stderr) == (0, "")


def test_traffic_makes_no_new_series(gateway):
    before = metrics(gateway)
    for number in range(20):
        poll = gateway.create_poll([f"option {number} {index}" for index in range(2 + number % 5)])
        gateway.cast(poll, 0, f"voter {number}")
        gateway.get(f"/nowhere/{number}")
    assert metrics(gateway).keys() == before.keys()


def test_votes_are_counted_as_they_were_answered(gateway):
    single = gateway.create_poll()
    changing = gateway.create_poll(change_vote=True)
    scheduled = gateway.create_poll(starts_at="2999-01-01T00:00:00Z")
    closed = gateway.create_poll()
    gateway.close(closed)
    told = Counter()

    def http(poll, choice, voter, **options):
        body = gateway.vote(poll, choice, voter, **options).json()
        told["repeated" if body.get("repeated") else body.get("status") or code(body)] += 1

    def code(body: dict) -> str:
        named = body["error"]["code"]
        return "invalid" if named.startswith("malformed") else named

    def answer(message: dict):
        status = "repeated" if message.get("repeated") else message.get("status")
        told[status or message["code"]] += 1

    for number in range(30):
        http(single, 0, f"http {number}")
    http(single, 0, "http 0")
    http(single, 1, "http 0")
    http(changing, 0, "ada")
    http(changing, 1, "ada")
    http(scheduled, 0, "ada")
    http(closed, 0, "ada")
    http(single, 0, None)
    http(single, 0, "")
    http(single, 0, "eve", headers={"Prefer": "respond-async"})
    unknown = gateway.post("/votes/", json={"poll_id": 999999, "option_id": 1, "voter": "ada"})
    told[code(unknown.json())] += 1
    foreign = {"poll_id": single.id, "option_id": changing.options[0], "voter": "bob"}
    told[code(gateway.post("/votes/", json=foreign).json())] += 1
    told[code(gateway.post("/votes/", data=b"{", headers=JSON).json())] += 1
    told[code(gateway.vote(single, 0, "ada", token="psv_forged").json())] += 1
    with Viewer(gateway) as viewer:
        for number in range(30):
            answer(viewer.vote(single, 1, voter=f"socket {number}"))
        answer(viewer.vote(single, 1, voter="socket 0"))
        answer(viewer.vote(single, 0, voter="socket 0"))
        answer(viewer.vote(closed, 0, voter="socket 0"))
        answer(viewer.ask(type="vote", poll_id=single.id, option_ids=[], voter="x"))
        answer(viewer.ask(type="vote", poll_id=single.id, voter="x"))
    original = {"poll_id": single.id, "option_id": single.options[0], "voter_name": "original"}
    assert gateway.post("/api/vote/", json=original).status_code == 202
    told["counted"] += 1
    assert gateway.post("/api/vote/", json={}).status_code == 400
    told["invalid"] += 1

    samples = metrics(gateway)
    assert by_label(samples, "pollstream_votes_total") == told
    # The ledger saw those that were admitted, and stored one more than was answered so.
    stored = gateway.stored_ballots()
    ballots = settle(
        gateway, lambda found: by_label(found, "pollstream_ballots_total")["counted"] == stored
    )
    assert stored == told["counted"] + told["queued"]
    settled = by_label(ballots, "pollstream_ballots_total")
    assert settled["repeated"] == told["repeated"]
    assert settled["changed"] == told["changed"]
    assert settled["already_voted"] == told["already_voted"]
    assert ballots["pollstream_ledger_batch_ballots_sum"] == sum(settled.values())
    assert (
        ballots["pollstream_ledger_batch_ballots_count"]
        == ballots["pollstream_ledger_commit_seconds_count"]
    )


JSON = {"Content-Type": "application/json"}


def test_frames_sent_are_the_frames_that_viewers_got(gateway):
    poll = gateway.create_poll()
    with contextlib.ExitStack() as stack:
        viewers = [stack.enter_context(Viewer(gateway, f"/ws/polls/{poll.id}/")) for _ in range(8)]
        stream = stack.enter_context(EventStream(gateway, poll))
        streamed = [stream.receive() for _ in range(2)]
        assert [event["event"] for event in streamed] == ["snapshot", "viewers"]
        # More than one a tick, so that some are conflated.
        voters = 60
        for number in range(voters):
            gateway.cast(poll, number % 2, f"voter {number}")
        everybody = len(viewers) + 1
        for viewer in viewers:
            while not has(viewer.messages, total=voters) or not has(
                viewer.messages, viewers=everybody
            ):
                viewer.receive()
        # By now all has been said. One vote more comes behind it.
        gateway.cast(poll, 0, "last")
        for viewer in viewers:
            viewer.until("tally", total=voters + 1)
        while streamed[-1]["data"].get("total") != voters + 1:
            streamed.append(stream.receive())
        samples = settle(gateway, is_at_rest)
        received = 0
        for viewer in viewers:
            kinds = Counter(message["type"] for message in viewer.messages)
            # Subscribing brings the first count of viewers; it is no frame of a topic.
            received += kinds["tally"] + kinds["viewers"] - 1
        received += len(streamed) - 2
        sent = samples["pollstream_frames_sent_total"]
        owed = samples["pollstream_frames_owed_total"]
        assert sent == received
        conflated = samples["pollstream_frames_conflated_total"]
        assert owed == sent + conflated + samples["pollstream_frames_dropped_total"]
        assert samples["pollstream_subscriptions"] == everybody
        sweeps = samples["pollstream_sweep_seconds_count"]
        assert 0 < samples["pollstream_vote_to_frame_seconds_count"] <= sweeps
        assert samples["pollstream_tick_stretch_seconds_count"] == sweeps
        # One poll: each commit has one tally.
        assert (
            samples["pollstream_vote_to_publish_seconds_count"]
            == samples["pollstream_ledger_commit_seconds_count"]
        )


def has(messages: list[dict], **members) -> bool:
    return any(members.items() <= message.items() for message in messages)


def is_at_rest(samples: dict[str, float]) -> bool:
    done = sum(samples[f"pollstream_frames_{what}_total"] for what in ("sent", "conflated"))
    return (
        samples["pollstream_frames_owed_total"] == done + samples["pollstream_frames_dropped_total"]
    )


def test_votes_to_frames_are_measured_in_the_time_that_they_take(start_gateway):
    """Two votes in a tick of a second: what the second one waits for is in the histogram."""
    gateway = start_gateway("--tick", "1s", "--loops", "1")
    poll = gateway.create_poll()
    with Viewer(gateway, f"/ws/polls/{poll.id}/") as viewer:
        viewer.until("viewers")
        gateway.cast(poll, 0, "ada")
        viewer.until("tally", total=1)
        began = time.monotonic()
        gateway.cast(poll, 0, "bob")
        viewer.until("tally", total=2)
        took = time.monotonic() - began
    samples = settle(gateway, lambda found: found["pollstream_vote_to_frame_seconds_count"] == 2)
    measured = samples["pollstream_vote_to_frame_seconds_sum"]
    assert 0.3 < measured < took + 10
    assert samples['pollstream_vote_to_frame_seconds_bucket{le="0.25"}'] < 2


def test_requests_bytes_and_connections_add_up(start_gateway):
    gateway = start_gateway("--loops", "2")
    poll = gateway.create_poll()
    before = metrics(gateway)
    told, received = Counter(), 0
    for path in ("/polls/", "/nowhere/", poll.path, "/join/NOWHERE", "/polls/?page=x"):
        with Wire(gateway) as wire:
            wire.send(get(path, "Connection: close"))
            answer = wire.rest()
            told[f"{answer[9:10].decode()}xx"] += 1
            received += len(answer)
    with Wire(gateway) as wire:
        wire.send(b"nonsense\r\n\r\n")
        received += len(wire.rest())
        told["4xx"] += 1
    after = settle(
        gateway, lambda found: found['pollstream_connections{kind="http",state="closing"}'] == 0
    )

    def grown(name: str) -> float:
        return after[name] - before[name]

    assert {
        kind: grown(f'pollstream_http_responses_total{{class="{kind}"}}') for kind in told
    } == told
    assert grown("pollstream_http_requests_total") == sum(told.values()) - 1
    assert grown("pollstream_http_malformed_requests_total") == 1
    # The answer to the first question about metrics left after it was written.
    assert grown("pollstream_sent_bytes_total") > received
    assert grown("pollstream_connections_closed_total") >= sum(told.values())
    open_now = sum(value for name, value in after.items() if "pollstream_connections{" in name)
    assert open_now == (
        after["pollstream_connections_accepted_total"]
        - after["pollstream_connections_closed_total"]
    )


def test_limits_are_counted_under_the_names_of_their_options(start_gateway):
    gateway = start_gateway(
        "--rate-votes", "1/min", "--rate-polls", "3/min", *limits(subscriptions=1, body=200)
    )
    polls = [gateway.create_poll() for _ in range(2)]
    assert gateway.vote(polls[0], 0, "ada").status_code == 201
    assert gateway.vote(polls[0], 0, "bob").status_code == 429
    with Viewer(gateway) as viewer:
        viewer.subscribe(polls[0].id)
        assert viewer.ask(type="subscribe", poll_ids=[polls[1].id])["code"] == (
            "too_many_subscriptions"
        )
        assert viewer.vote(polls[0], 0, voter="eve")["code"] == "rate_limited"
    gateway.create_poll()
    assert gateway.post("/polls/", json={"title": "t", "options": ["a", "b"]}).status_code == 429
    assert gateway.post("/votes/", data=b"x" * 201, headers=JSON).status_code == 413
    hit = by_label(metrics(gateway), "pollstream_limits_hit_total")
    hit.pop("idle-timeout", None)
    assert hit == {"rate-votes": 2, "rate-polls": 1, "subscriptions": 1, "body-bytes": 1}


def test_a_storage_that_is_away_shows(start_gateway):
    gateway = start_gateway(*limits(commit_timeout="300ms", waiting_ballots=3))
    poll = gateway.create_poll()
    assert metrics(gateway)["pollstream_ready"] == 1
    with gateway.storage_stalled():
        statuses = []
        votes = [
            threading.Thread(
                target=lambda name: statuses.append(gateway.vote(poll, 0, name).status_code),
                args=(f"voter {number}",),
            )
            for number in range(6)
        ]
        for vote in votes:
            vote.start()
        samples = settle(
            gateway,
            lambda found: (
                found["pollstream_ready"] == 0 and found["pollstream_ledger_storage_up"] == 0
            ),
        )
        assert samples["pollstream_ledger_ballots_limit"] == 3
        for vote in votes:
            vote.join()
        assert set(statuses) <= {503, 504}
        hit = by_label(metrics(gateway), "pollstream_limits_hit_total")
        assert hit["waiting-ballots"] + hit["commit-timeout"] == 6
    samples = settle(gateway, lambda found: found["pollstream_ready"] == 1)
    assert samples["pollstream_ledger_storage_losses_total"] >= 1


def test_a_draining_gateway_is_not_ready(start_gateway):
    gateway = start_gateway("--drain", "20s")
    poll = gateway.create_poll()
    with Viewer(gateway, f"/ws/polls/{poll.id}/") as viewer:
        viewer.until("snapshot")
        gateway.terminate()
        viewer.until("draining")
        samples = metrics(gateway)
        assert (samples["pollstream_ready"], samples["pollstream_draining"]) == (0, 1)
