"""What TLS costs a gateway: CPU of a delivery in clear and over TLS, pairs in one run, and of a
handshake, full and resumed, next to nginx where it is installed (same certificate, same OpenSSL).

python3 tls_cost.py POLLSTREAM [--viewers N] [--rounds N] [--pairs N] [--handshakes N]

The client is one thread of Python, far slower than the servers. So nothing here is a rate: CPU is
time that the threads of the server's process ran, over what it delivered or how many it shook hands
with. Ends with 1 if a delivery does not arrive."""

import argparse
import base64
import os
import selectors
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Tests" / "EndToEnd"))

ARRIVE_SECONDS = 60


def cpu_seconds(server) -> float:
    """Time on a processor of all threads that the server has now, to the nanosecond."""
    threads = Path(f"/proc/{server.process.pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


class Nginx:
    """One process of nginx that answers with a few bytes, over TLS if given `files`."""

    def __init__(self, folder: Path, files=None):
        from ports import free_port

        self.address = ("127.0.0.1", free_port())
        host, port = self.address
        settings = folder / "nginx.conf"
        secure = "" if files is None else (
            f"ssl_certificate {files.certificate}; ssl_certificate_key {files.key};"
            " ssl_protocols TLSv1.2 TLSv1.3; ssl_session_tickets on;"
        )  # fmt: skip
        settings.write_text(
            "daemon off; master_process off; events {}\n"
            f"pid {folder}/pid; error_log {folder}/error.log warn;\n"
            f"http {{ access_log off; client_body_temp_path {folder}/bodies;\n"
            f"server {{ listen {host}:{port}{' ssl' if files else ''}; {secure}\n"
            'location / { return 200 "some words"; } } }\n'
        )
        self.process = subprocess.Popen(
            ["nginx", "-p", folder, "-c", settings, "-e", folder / "error.log"]
        )
        deadline = time.monotonic() + ARRIVE_SECONDS
        while socket.socket().connect_ex(self.address) != 0:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("PROBLEM: nginx does not listen")
            time.sleep(0.05)

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Viewer:
    """A WebSocket that is subscribed to one poll and counts the tallies that come."""

    def __init__(self, gateway, poll, context):
        self.socket = connected(gateway, context)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            (
                "GET /ws/ HTTP/1.1\r\nHost: localhost\r\n"
                "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
            ).encode()
        )
        self.tallies, self._rest = 0, b""
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.socket.recv(65536)
        assert head.startswith(b"HTTP/1.1 101"), head
        self._take(head.split(b"\r\n\r\n", 1)[1])
        message = f'{{"type":"subscribe","poll_ids":[{poll.id}]}}'.encode()
        mask = bytes(4)  # RFC 6455 §5.3 asks for a key; one of zeros leaves the bytes as they are.
        self.socket.sendall(bytes([0x81, 0x80 | len(message)]) + mask + message)
        while b'"snapshot"' not in self._take(self.socket.recv(65536)):
            pass
        self.socket.setblocking(False)

    def _take(self, data: bytes) -> bytes:
        """Counts the tallies in `data`, which may end within a frame (RFC 6455 §5.2)."""
        self._rest += data
        while len(self._rest) >= 2:
            length, head = self._rest[1], 2
            if length == 126:
                if len(self._rest) < 4:
                    break
                length, head = int.from_bytes(self._rest[2:4], "big"), 4
            if len(self._rest) < head + length:
                break
            self.tallies += b'"type":"tally"' in self._rest[head : head + length]
            self._rest = self._rest[head + length :]
        return data

    def read(self) -> int:
        """Tallies that have come since; reads until nothing more is there."""
        before = self.tallies
        while True:
            try:
                data = self.socket.recv(65536)
            except (BlockingIOError, ssl.SSLWantReadError):
                return self.tallies - before
            if not data:
                raise SystemExit("PROBLEM: the gateway closed a viewer's connection")
            self._take(data)


def connected(gateway, context, session=None):
    plain = socket.create_connection(gateway.address, ARRIVE_SECONDS)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if context is None:
        return plain
    return context.wrap_socket(plain, server_hostname="localhost", session=session)


def delivery_seconds(gateway, context, viewers: int, rounds: int) -> float:
    """CPU of the gateway for one delivery: `rounds` votes, each on every viewer's screen before the
    next."""
    poll = gateway.create_poll()
    watching = [Viewer(gateway, poll, context) for _ in range(viewers)]
    selector = selectors.DefaultSelector()
    for viewer in watching:
        selector.register(viewer.socket, selectors.EVENT_READ, viewer)
    time.sleep(1)
    began = cpu_seconds(gateway)
    for number in range(rounds):
        assert gateway.vote(poll, 0, f"voter-{number}").status_code == 201
        expected, arrived, deadline = viewers, 0, time.monotonic() + ARRIVE_SECONDS
        while arrived < expected:
            if time.monotonic() > deadline:
                raise SystemExit(f"PROBLEM: {arrived} of {expected} deliveries arrived")
            for key, _ in selector.select(1):
                arrived += key.data.read()
    taken = cpu_seconds(gateway) - began
    for viewer in watching:
        viewer.socket.close()
    return taken / (viewers * rounds)


def handshake_seconds(gateway, context, count: int, resumed: bool) -> float:
    """CPU of the gateway for one connection with its handshake and a request."""
    request = b"GET /polls/?page_size=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

    def visit(session=None):
        with connected(gateway, context, session) as secure:
            assert context is None or secure.session_reused == (session is not None)
            secure.sendall(request)
            while secure.recv(65536):
                pass
            return context and secure.session

    session = visit() if resumed else None
    began = cpu_seconds(gateway)
    for _ in range(count):
        visit(session)
    return (cpu_seconds(gateway) - began) / count


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pollstream")
    parser.add_argument("--viewers", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--handshakes", type=int, default=1000)
    options = parser.parse_args()
    os.environ["POLLSTREAM_BINARY"] = options.pollstream

    from gateway import Gateway
    from tls import Authority

    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(Path(folder) / "authority")
        files = authority.sign("gateway", "localhost")
        context = authority.client_context()

        def measured(measure, secure: bool):
            home = Path(tempfile.mkdtemp(dir=folder))
            arguments = ["--loops", "1", "--tick", "1ms", "--voter-names", "allow"]
            gateway = Gateway(
                home, *arguments, *(files.options if secure else []),
                authority=authority if secure else None,
            ).start()  # fmt: skip
            try:
                return measure(gateway, context if secure else None)
            finally:
                gateway.stop()

        def deliveries(gateway, context):
            return delivery_seconds(gateway, context, options.viewers, options.rounds)

        pairs = []
        for number in range(options.pairs):
            pair = {}
            for secure in (False, True) if number % 2 == 0 else (True, False):
                pair[secure] = measured(deliveries, secure)
            pairs.append((pair[False], pair[True]))
            print(f"pair {number + 1}: {pair[False] * 1e6:.2f} µs a delivery in clear, "
                  f"{pair[True] * 1e6:.2f} over TLS", flush=True)  # fmt: skip
        ratios = sorted(secure / clear for clear, secure in pairs)
        middle = statistics.median(ratios)
        print(f"TLS over clear: {middle:.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}), "
              f"{options.viewers} viewers, {options.rounds} rounds; all arrived")  # fmt: skip

        measure_handshakes(measured, context, files, options)


def measure_handshakes(measured, context, files, options):
    """A connection with one request, in clear, with a full handshake, and with a resumed one."""

    def visits(resumed):
        return lambda server, context: handshake_seconds(
            server, context, options.handshakes, resumed
        )

    def with_nginx(measure, secure):
        with tempfile.TemporaryDirectory() as folder:
            nginx = Nginx(Path(folder), files if secure else None)
            try:
                return measure(nginx, context if secure else None)
            finally:
                nginx.stop()

    servers = {"gateway": measured}
    if shutil.which("nginx"):
        servers["nginx"] = with_nginx
    else:
        print("nginx is not installed: nothing to compare handshakes with")
    kinds = {
        "in clear": (False, False),
        "with a full handshake": (False, True),
        "with a resumed one": (True, True),
    }
    taken = {(server, kind): [] for server in servers for kind in kinds}
    for _ in range(options.pairs):
        for kind, (resumed, secure) in kinds.items():
            for name, measured_with in servers.items():
                taken[name, kind].append(measured_with(visits(resumed), secure))
    for name in servers:
        words = (
            f"{statistics.median(taken[name, kind]) * 1e6:.0f} µs {kind}"
            f" ({min(taken[name, kind]) * 1e6:.0f} to {max(taken[name, kind]) * 1e6:.0f})"
            for kind in kinds
        )
        print(f"{name}, a connection with a request: {', '.join(words)}")


if __name__ == "__main__":
    main()
