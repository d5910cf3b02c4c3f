"""HAProxy in front of a gateway, as an operator runs it: in TCP mode, naming its clients."""

import contextlib
import socket
import subprocess
import time
from pathlib import Path

from gateway import START_SECONDS, Gateway
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
        settings = folder / f"haproxy-{self.address[1]}.cfg"
        settings.write_text(
            SETTINGS.format(port=self.address[1], host=host, server_port=port, word=word)
        )
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
