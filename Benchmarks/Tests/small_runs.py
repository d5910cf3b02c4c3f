"""Small runs of the scenarios against a real gateway, with private PostgreSQL and Redis servers:
they end with 0 only if all that had to arrive did. How fast they are is nobody's business here.

python3 small_runs.py POLLSTREAM_BENCH GATEWAY
"""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(BENCHMARKS.parent / "Tests" / "EndToEnd"))

from postgres import Server  # noqa: E402
from redis import Redis  # noqa: E402

BENCH, GATEWAY = sys.argv[1:]
PEER = BENCHMARKS / "peers" / "websockets.json"
STORM = ["--rate", "500", "--seconds", "1", "--warmup", "0.2"]
FANOUT = ["--subscribers", "200", "--rounds", "5", "--settle", "1"]

with contextlib.ExitStack() as stack:
    postgres, redis = Server(fsync="off"), Redis()
    stack.callback(postgres.remove)
    stack.callback(redis.remove)
    shared = ["--database", postgres.create_database().uri, "--redis", redis.url]
    runs = [
        ["storm", "--viewers", "200", *STORM],
        ["slow", "--viewers", "100", "--mute", "10", "--pairs", "1", *STORM],
        ["churn", "--viewers", "100", "--passers", "50", "--joins", "40", "--pairs", "1", *STORM],
        ["many-polls", "--polls", "100", "--viewers", "40", "--each", "20", *STORM],
        ["fanout", "--pairs", "1", "--against", "limit", "--peer", str(PEER), *FANOUT],
        ["cluster", *shared, "--subscribers", "400", "--alone", "100", "--rounds", "3",
         "--settle", "1", "--pairs", "1"],
        ["rolling", *shared, "--viewers", "60", "--gateways", "2", "--drain", "1s"],
        ["rolling", *shared, "--viewers", "60", "--gateways", "2", "--kill"],
    ]  # fmt: skip
    for run in runs:
        print("──", *run, flush=True)
        environment = os.environ | {"PYTHON": sys.executable}
        subprocess.run([BENCH, *run, "--binary", GATEWAY], env=environment, check=True, timeout=120)
print(f"{len(runs)} passed")
