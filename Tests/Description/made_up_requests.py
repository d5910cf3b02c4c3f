"""Starts a gateway with polls for schemathesis to play with, and what is in `schemathesis.toml`."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "EndToEnd"))

from gateway import REPOSITORY, Gateway, in_the_future  # noqa: E402

FILE = REPOSITORY / "Sources" / "Description" / "files" / "openapi.json"


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        gateway = Gateway(Path(folder)).start()
        try:
            keys = {}
            for number, fields in enumerate([{}, {}, {"starts_at": in_the_future(hours=1)}, {}], 1):
                poll = gateway.create_poll(change_vote=True, **fields)
                assert poll.id == number
                keys[f"HOST_KEY_{number}"] = poll.host_key
            done = subprocess.run(
                [Path(sys.executable).with_name("schemathesis"),
                 "--config-file", HERE / "schemathesis.toml",
                 "run", FILE, "--url", gateway.url, *sys.argv[1:]],
                env=os.environ | keys, cwd=folder,
            )  # fmt: skip
            gateway.stop()
            return done.returncode
        finally:
            gateway.discard()


if __name__ == "__main__":
    sys.exit(main())
