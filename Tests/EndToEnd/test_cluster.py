"""`deploy/cluster`, as somebody would try it out."""

import contextlib
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
import requests
from websockets.sync.client import connect

from gateway import REPOSITORY, binary
from live import CONNECTION_LOST

pytestmark = pytest.mark.postgres


@pytest.mark.timeout(180)
def test_three_gateways_behind_a_balancer_outlive_one_of_them():
    cluster = subprocess.Popen(
        [REPOSITORY / "deploy" / "cluster"],
        env=os.environ | {"CLUSTER_PORT": "0", "POLLSTREAM_BINARY": binary()},
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    said = []
    try:
        for line in cluster.stderr:
            said.append(line)
            if "Serving polls" in line:
                break
        text = "".join(said)
        url = re.search(r"open (http://\S+)", text)[1]
        pids = [int(pid) for pid in re.findall(r"gateway \d: .*process (\d+)", text)]
        assert len(pids) == 3, text
        session = requests.Session()
        session.trust_env = False
        wait_for(lambda: session.get(f"{url}/polls/", timeout=5).status_code == 200)
        poll = session.post(f"{url}/polls/", json={"title": "Which?", "options": ["a", "b"]}).json()
        path = f"/ws/polls/{poll['id']}/"
        viewers = [connect(url.replace("http", "ws") + path, proxy=None) for _ in range(9)]
        option = poll["options"][0]["id"]

        def vote(voter: str) -> bool:
            # A new connection each time, so that every gateway has its share.
            try:
                answer = requests.post(
                    f"{url}/votes/", timeout=10, proxies={"http": ""},
                    json={"poll_id": poll["id"], "option_id": option, "voter": voter},
                )  # fmt: skip
            except requests.ConnectionError:
                return False
            return answer.status_code in (200, 201)

        assert all(vote(f"voter {number}") for number in range(30))
        os.kill(pids[0], signal.SIGKILL)
        for number in range(30, 60):
            wait_for(lambda number=number: vote(f"voter {number}"))

        def total() -> int:
            try:
                results = session.get(f"{url}/polls/{poll['id']}/results/", timeout=5)
            except requests.ConnectionError:
                return -1
            return results.json()["total"]

        wait_for(lambda: total() == 60)
        lasting = 0
        for viewer in viewers:
            # Those of the gateway that was killed have lost theirs.
            with contextlib.suppress(*CONNECTION_LOST):
                while '"total":60' not in viewer.recv(timeout=10):
                    pass
                lasting += 1
        assert lasting == 6, "least connections had spread nine viewers over three gateways"
    finally:
        cluster.send_signal(signal.SIGTERM)
        code = cluster.wait(60)
    assert code == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def wait_for(reached, seconds: float = 15):
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.1)
