"""Ports for servers that must know theirs before they start."""

import errno
import random
import socket

# Below 32768, where Linux takes the ports of outgoing connections from: a broker needs ten seconds
# from its command line to its listener, and any client of a test could be given its port meanwhile.
RANGE = range(15_000, 32_000)

_given: set[int] = set()


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on and that no caller here was given before."""
    while True:
        port = random.choice(RANGE)
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
        _given.add(port)
        return port
