"""Certificates of a test's own authority, made by `openssl`, and clients that believe it."""

import contextlib
import socket
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

from gateway import ANSWER_SECONDS


@dataclass
class Files:
    certificate: Path
    key: Path

    @property
    def options(self) -> list[str]:
        return ["--tls-certificate", str(self.certificate), "--tls-key", str(self.key)]


class Authority:
    """Signs certificates in `folder`."""

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        self.folder.mkdir(exist_ok=True)
        self.certificate = self.folder / "authority.pem"
        self._key = self.folder / "authority.key"
        self._openssl(
            "req", "-x509", *self._new_key(self._key), "-subj", "/CN=an authority",
            "-addext", "keyUsage=critical,keyCertSign", "-days", "2", "-out", self.certificate,
        )  # fmt: skip

    def sign(self, name: str, *hosts: str, days: int = 1) -> Files:
        """A certificate for `hosts`, and its key, in files called `name`, which they replace."""
        files = Files(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        request, extensions = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        names = ",".join(f"DNS:{host}" for host in hosts)
        extensions.write_text(f"subjectAltName={names}\nauthorityKeyIdentifier=keyid\n")
        self._openssl("req", *self._new_key(files.key), "-subj", f"/CN={name}", "-out", request)
        self._openssl(
            "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key,
            "-days", days, "-extfile", extensions, "-out", files.certificate,
        )  # fmt: skip
        return files

    def client_context(self, **attributes) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.certificate)
        for name, value in attributes.items():
            setattr(context, name, value)
        return context

    @staticmethod
    def _new_key(path) -> list:
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", path]

    @staticmethod
    def _openssl(*arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


@contextlib.contextmanager
def connected(gateway, context: ssl.SSLContext, host: str | None = "localhost"):
    """A TLS socket to the gateway, after its handshake."""
    with socket.create_connection(gateway.address, ANSWER_SECONDS) as plain:
        with context.wrap_socket(plain, server_hostname=host) as secure:
            yield secure


def subject(secure: ssl.SSLSocket) -> str:
    """The common name of the gateway's certificate."""
    return dict(part[0] for part in secure.getpeercert()["subject"])["commonName"]
