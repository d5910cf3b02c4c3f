"""A private RabbitMQ broker: in a temporary folder, on free ports, with a port mapper of its own,
as an unprivileged user where the tests run as root. It dies with the tests. And a service that
listens."""

import contextlib
import json
import logging
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pika

from ports import free_port
from postgres import unprivileged

START_SECONDS = 120  # it takes 4 s where nothing else runs
SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"
EXCHANGE = "poll_updates"
USER, PASSWORD = "polls", "sec/ret@word"


# It takes every refused connection for an error worth a page.
logging.getLogger("pika").setLevel(logging.CRITICAL)


class Broker:
    """With TLS on a second port, by a certificate that only `authority` vouches for."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="pollstream-rabbitmq-", dir="/tmp"))
        self.port, distribution, mapper = free_port(), free_port(), free_port()
        tls_port = free_port()
        self.url = self.url_of(self.port)
        # Names are what librabbitmq compares, not addresses.
        self.tls_url = (
            self.url_of(tls_port).replace("amqp:", "amqps:").replace("127.0.0.1", "localhost")
        )
        self.authority = self.folder / "ca.pem"
        self._make_certificates()
        (self.folder / "rabbitmq.conf").write_text(
            "\n".join([
                f"listeners.tcp.1 = 127.0.0.1:{self.port}",
                f"default_user = {USER}", f"default_pass = {PASSWORD}",
                "disk_free_limit.absolute = 1MB",
                f"listeners.ssl.1 = 127.0.0.1:{tls_port}",
                f"ssl_options.cacertfile = {self.authority}",
                f"ssl_options.certfile = {self.folder}/cert.pem",
                f"ssl_options.keyfile = {self.folder}/key.pem",
                "ssl_options.verify = verify_none", "",
            ])
        )  # fmt: skip
        (self.folder / "enabled_plugins").write_text("[].\n")
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", "nobody:nogroup", self.folder], check=True)
        self.environment = {
            "PATH": os.environ["PATH"], "HOME": str(self.folder), "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(mapper), "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"pollstream-{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            # Then its script becomes the broker, and does not stay in front of it.
            "RABBITMQ_ALLOW_INPUT": "true",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS":
                "-kernel inet_dist_use_interface {127,0,0,1} +S 2:2 +sbwt none",
        }  # fmt: skip
        self._mapper = self._run("epmd", "-port", str(mapper), "-address", "127.0.0.1")
        self.process: subprocess.Popen | None = None
        self.start()

    def _make_certificates(self):
        def openssl(*words):
            subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=self.folder)

        new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        openssl("req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.pem", "-subj",
                "/CN=test", "-days", "2")  # fmt: skip
        openssl("req", *new_key, "-keyout", "key.pem", "-out", "request.pem", "-subj",
                "/CN=localhost")  # fmt: skip
        (self.folder / "names").write_text("subjectAltName=DNS:localhost\n")
        openssl("x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca.key",
                "-CAcreateserial", "-extfile", "names", "-days", "2", "-out",
                "cert.pem")  # fmt: skip

    def url_of(self, port: int, password: str = "sec%2Fret%40word") -> str:
        return f"amqp://{USER}:{password}@127.0.0.1:{port}/%2F"

    def _run(self, *words) -> subprocess.Popen:
        with (self.folder / "output").open("a") as output:
            return subprocess.Popen(
                [*unprivileged(), *words], env=self.environment, cwd="/", stdout=output,
                stderr=output, stdin=subprocess.DEVNULL,
            )  # fmt: skip

    def start(self):
        self.process = self._run(SERVER, "-noinput")
        deadline = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(pika.exceptions.AMQPError, OSError):
                self.connect().close()
                return
            assert self.process.poll() is None and time.monotonic() < deadline, (
                self.folder / "output"
            ).read_text()
            time.sleep(0.1)

    def stop(self):
        """SIGKILL: the crash that leaves no time for anything."""
        self.process.kill()
        self.process.wait(20)

    def connect(self) -> pika.BlockingConnection:
        return pika.BlockingConnection(pika.URLParameters(self.url + "?heartbeat=0"))

    def remove(self):
        for process in (self.process, self._mapper):
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)


class Service:
    """A service with a durable queue of its own: takes all that comes, before and after the broker
    is away, and keeps it in its order."""

    def __init__(self, broker: Broker, name: str, *keys: str):
        self.broker, self.name = broker, name
        self.keys = keys or ("poll.vote_update", "poll.change")
        self.received: list[dict] = []
        self.properties: list[pika.BasicProperties] = []
        self._bind()

    def _bind(self):
        self._connection = self.broker.connect()
        self._channel = self._connection.channel()
        # As the original's consumer does, before any gateway is there.
        self._channel.exchange_declare(EXCHANGE, "direct", durable=True)
        self._channel.queue_declare(self.name, durable=True)
        for key in self.keys:
            self._channel.queue_bind(self.name, EXCHANGE, key)

    def take(self, until, seconds: float = 60):
        """Takes messages until `until()` holds."""
        deadline = time.monotonic() + seconds
        while not until():
            assert time.monotonic() < deadline, f"{len(self.received)} messages came"
            try:
                self._take_some(until)
            except (pika.exceptions.AMQPError, OSError):
                time.sleep(0.1)
                with contextlib.suppress(pika.exceptions.AMQPError, OSError):
                    self._bind()

    def _take_some(self, until, silence: float = 0.2):
        """Until it holds, or nothing has come for a while."""
        for method, properties, body in self._channel.consume(
            self.name, inactivity_timeout=silence
        ):
            if method is None:
                break
            self.received.append(json.loads(body))
            self.properties.append(properties)
            self._channel.basic_ack(method.delivery_tag)
            if until():
                break
        # What came along goes back into the queue.
        self._channel.cancel()

    def take_quiet(self, seconds: float = 1):
        """Takes until nothing has come for a while."""
        self._take_some(lambda: False, seconds)

    @property
    def ids(self) -> list[str]:
        return [properties.message_id for properties in self.properties]

    @property
    def votes(self) -> list[dict]:
        return [message for message in self.received if message["type"] == "vote_notification"]

    def counts(self, poll) -> list[int]:
        """By what was told, each message once."""
        deltas = dict(zip(self.ids, self.received, strict=True))
        return [
            sum(m["delta"] for m in deltas.values() if m.get("option_id") == option)
            for option in poll.options
        ]  # fmt: skip

    def close(self):
        with contextlib.suppress(pika.exceptions.AMQPError, OSError):
            self._channel.queue_delete(self.name)
            self._connection.close()
