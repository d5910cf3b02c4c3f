"""HAProxy in front of gateways, as an operator runs it: in TCP mode before one, naming its clients,
and by path before processes that have a part each."""

import contextlib
import re
import socket
import subprocess
import time
from pathlib import Path

from gateway import REPOSITORY, START_SECONDS, Gateway
from ports import free_port
from postgres import open_to_all, unprivileged

SETTINGS = """
defaults
    mode tcp
    timeout connect 5s
    timeout client 1m
    timeout server 1m
listen polls
    bind 127.0.0.1:{port}
    server one {host}:{server_port} {word}
"""


class Balancer:
    """One HAProxy process; `address` is where clients find it."""

    def __init__(self, gateway: Gateway, folder: Path, word: str = "send-proxy-v2"):
        self.address = ("127.0.0.1", free_port())
        host, port = gateway.address
        text = SETTINGS.format(port=self.address[1], host=host, server_port=port, word=word)
        self._start(text, folder)

    def _start(self, text: str, folder: Path):
        settings = folder / f"haproxy-{self.address[1]}.cfg"
        settings.write_text(text)
        open_to_all(folder)
        self._process = subprocess.Popen([*unprivileged(), "haproxy", "-db", "-f", settings])

    def __enter__(self):
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection(self.address, timeout=1).close()
                return self
            except OSError:
                if time.monotonic() > deadline:
                    self.__exit__()
                    raise AssertionError("HAProxy does not start") from None
                time.sleep(0.05)

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait()


class PathBalancer(Balancer):
    """With the configuration that is shipped for `--services`, and our processes in it."""

    def __init__(self, parts: dict[str, Gateway], folder: Path):
        self.address = ("127.0.0.1", free_port())
        text = (REPOSITORY / "deploy" / "haproxy.services.cfg").read_text()
        # It wants two descriptors for each, and stops where it does not get them.
        text, count = re.subn(r"maxconn \d+", "maxconn 1000", text)
        assert count == 1
        text, count = re.subn(r"bind :\d+", f"bind 127.0.0.1:{self.address[1]}", text)
        assert count == 1
        for name, gateway in parts.items():
            host, port = gateway.address
            server = f"server one {host}:{port} port {gateway.ops_url.rpartition(':')[2]}"
            text, count = re.subn(rf"server-template {name} 1-10 {name}:.*", server, text)
            assert count == 1, name
        self._start(text, folder)


@contextlib.contextmanager
def reached(way: str, start, folders, *options):
    """What `start` makes of the options, by itself ("direct") or behind HAProxy."""
    if way == "direct":
        yield start(*options)
        return
    gateway = start("--proxy-protocol", "required", *options)
    with Balancer(gateway, folders.mktemp("balancer")) as balancer:
        gateway.reach_at(*balancer.address)
        yield gateway
