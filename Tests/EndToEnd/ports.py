"""Ports for servers that must know theirs before they start."""

import errno
import random
import socket

# Below 32768, where Linux takes the ports of outgoing connections from: a broker needs ten seconds
# from its command line to its listener, and any client of a test could be given its port meanwhile.
RANGE = range(15_000, 32_000)

# A port that was given stays so until this process ends, and no other run of tests on this machine
# is given it: each holds an abstract name (unix(7)) for as long.
_claims: list[socket.socket] = []


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on and that nobody was given before."""
    while True:
        port = random.choice(RANGE)
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0pollstream-test-port-{port}")
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError as error:
            claim.close()
            if error.errno != errno.EADDRINUSE:
                raise
            continue
        _claims.append(claim)
        return port
