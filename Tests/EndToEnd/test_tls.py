"""TLS that ends at the gateway: votes and viewers over it, certificates by name and replaced."""

import itertools
import re
import signal
import socket
import ssl
import threading
import time

import pytest
import requests

from events import EventStream
from gateway import ANSWER_SECONDS, limits, run_to_end
from live import Viewer
from tls import Authority, connected, subject
from wire import Wire, get

# The store makes no difference.
pytestmark = pytest.mark.once

HTTP = b"GET /polls/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def gateway(start_module_gateway, authority):
    files = authority.sign("first", "localhost")
    others = authority.sign("other", "polls.test", "*.live.test")
    return start_module_gateway(
        *files.options, *others.options, "--hsts", "30d", authority=authority
    )


def read_to_end(secure) -> bytes:
    parts = iter(lambda: secure.recv(65536), b"")
    return b"".join(parts)


def said(gateway, words: str, times: int = 1):
    deadline = time.monotonic() + 20
    while (text := gateway.log_text()).count(words) < times:
        assert time.monotonic() < deadline, f"no {words!r} in:\n{text}"
        time.sleep(0.01)


def metric(gateway, name: str) -> float:
    text = gateway.ops("GET", "/metrics").text
    return float(re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)[1])


# Serving


def test_it_says_https_and_the_operators_listener_stays_in_clear(gateway):
    assert gateway.url.startswith("https://")
    assert "listening on https://127.0.0.1:" in gateway.log_text(2000)
    assert gateway.ops_url.startswith("http://")
    assert gateway.ops("GET", "/livez").status_code == 200


def test_a_vote_over_https_reaches_wss_and_events(gateway, poll):
    with Viewer(gateway, f"/ws/polls/{poll.id}/") as viewer, EventStream(gateway, poll) as events:
        viewer.until("snapshot")
        events.until("snapshot")
        assert gateway.cast(poll, 0, "ada")["status"] == "counted"
        viewer.until("tally")
        viewer.send(type="vote", poll_id=poll.id, option_ids=[poll.options[1]], voter="bob")
        viewer.until("tally", counts=[1, 1])
        while events.until("tally")["data"]["counts"] != [1, 1]:
            pass
    assert gateway.results(poll)["counts"] == [1, 1]


def test_the_cookie_is_secure_and_is_believed(gateway, poll):
    page = gateway.get("/")
    assert "; Secure" in page.headers["Set-Cookie"]
    cookie = page.headers["Set-Cookie"].partition(";")[0]
    votes = [gateway.vote(poll, 0, headers={"Cookie": cookie}) for _ in range(2)]
    assert [vote.json().get("repeated") for vote in votes] == [None, True]
    # A page of another host of the site can set one without the prefix, and it is nobody's.
    assert cookie.startswith("__Host-")
    tossed = gateway.get("/").headers["Set-Cookie"].partition(";")[0].removeprefix("__Host-")
    assert gateway.vote(poll, 0, headers={"Cookie": tossed}).status_code == 401
    both = gateway.vote(poll, 0, headers={"Cookie": f"{tossed}; {cookie}"})
    assert both.json()["repeated"] is True


def test_links_name_https(gateway):
    for _ in range(2):
        gateway.create_poll()
    following = gateway.get("/polls/?page_size=1").json()["next"]
    assert following.startswith(gateway.url + "/polls/?")
    assert requests.get(following, verify=gateway.verify, timeout=ANSWER_SECONDS).ok


def test_browsers_are_told_to_come_over_https_where_that_is_asked_for(gateway, start_gateway,
                                                                      authority):  # fmt: skip
    assert gateway.get("/polls/").headers["Strict-Transport-Security"] == "max-age=2592000"
    assert "Strict-Transport-Security" not in gateway.ops("GET", "/livez").headers
    files = authority.sign("plain", "localhost")
    silent = start_gateway(*files.options, authority=authority)
    assert "Strict-Transport-Security" not in silent.get("/polls/").headers


def test_a_page_of_the_same_host_is_one_that_came_over_https(gateway):
    host = gateway.url.removeprefix("https://")
    with Viewer(gateway, origin=f"https://{host}"):
        pass
    with pytest.raises(Exception, match="403"), Viewer(gateway, origin=f"http://{host}"):
        pass


def test_a_session_is_resumed(gateway, authority):
    context = authority.client_context()
    before = metric(gateway, 'pollstream_tls_handshakes_total{kind="resumed"}')
    with connected(gateway, context) as secure:
        secure.sendall(HTTP)
        assert read_to_end(secure).startswith(b"HTTP/1.1 200 ")
        session = secure.session
    with socket.create_connection(gateway.address, ANSWER_SECONDS) as plain:
        with context.wrap_socket(plain, server_hostname="localhost", session=session) as secure:
            assert secure.session_reused
            secure.sendall(HTTP)
            assert read_to_end(secure).startswith(b"HTTP/1.1 200 ")
    assert metric(gateway, 'pollstream_tls_handshakes_total{kind="resumed"}') == before + 1


# Who is let in


@pytest.mark.parametrize(
    ("host", "name"),
    [("localhost", "first"), ("polls.test", "other"), ("a.live.test", "other"), (None, "first")],
)
def test_a_certificate_is_chosen_by_name(gateway, authority, host, name):
    context = authority.client_context(check_hostname=host is not None)
    with connected(gateway, context, host) as secure:
        assert subject(secure) == name
        assert secure.version() == "TLSv1.3"


def test_a_client_that_wants_another_host_goes_away(gateway, authority):
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        with connected(gateway, authority.client_context(), "elsewhere.test"):
            pass


def test_a_client_that_knows_another_authority_goes_away(gateway):
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
        with connected(gateway, ssl.create_default_context()):
            pass


def test_http_1_1_is_agreed_on_and_h2_alone_is_refused(gateway, authority):
    both = authority.client_context()
    both.set_alpn_protocols(["h2", "http/1.1"])
    with connected(gateway, both) as secure:
        assert secure.selected_alpn_protocol() == "http/1.1"
    only = authority.client_context()
    only.set_alpn_protocols(["h2"])
    with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
        with connected(gateway, only):
            pass


def test_tls_1_2_is_served(gateway, authority):
    context = authority.client_context(maximum_version=ssl.TLSVersion.TLSv1_2)
    with connected(gateway, context) as secure:
        assert secure.version() == "TLSv1.2"
        assert secure.cipher()[0].startswith("ECDHE-")
        secure.sendall(HTTP)
        assert read_to_end(secure).startswith(b"HTTP/1.1 200 ")


def test_plain_http_on_the_port_is_closed_without_a_word(gateway):
    lines = len(gateway.log)
    for _ in range(20):
        with Wire(gateway) as wire:
            wire.send(get("/polls/"))
            assert wire.rest() == b""
    assert len(gateway.log) <= lines + 1
    assert metric(gateway, "pollstream_tls_failures_total") >= 20
    assert gateway.get("/polls/").ok


def test_who_does_not_finish_its_handshake_is_closed(start_gateway, authority):
    files = authority.sign("slow", "localhost")
    gateway = start_gateway(*files.options, *limits(tls_timeout="300ms"), authority=authority)
    with Wire(gateway) as wire:
        wire.send(b"\x16\x03\x01\x02\x00\x01")
        assert wire.rest() == b""
    assert metric(gateway, 'pollstream_limits_hit_total{limit="tls-timeout"}') == 1
    assert gateway.get("/polls/").ok


def test_a_proxy_says_who_its_client_is_before_tls(start_gateway, authority):
    files = authority.sign("behind", "localhost")
    gateway = start_gateway(
        *files.options, "--proxy-protocol", "required", "--rate-polls", "1/min", authority=authority
    )
    context = authority.client_context()
    body = b'{"title":"t","options":["a","b"]}'
    create = (b"POST /polls/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
              b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))  # fmt: skip

    def status(address: str) -> int:
        with socket.create_connection(gateway.address, ANSWER_SECONDS) as plain:
            plain.sendall(f"PROXY TCP4 {address} 127.0.0.1 4000 443\r\n".encode())
            with context.wrap_socket(plain, server_hostname="localhost") as secure:
                secure.sendall(create)
                return int(read_to_end(secure).split()[1])

    assert [status(address) for address in ("192.0.2.1", "192.0.2.1", "192.0.2.2")] == [
        201, 429, 201
    ]  # fmt: skip


# Certificates that are replaced


def test_sighup_takes_a_new_certificate_and_loses_nobody(start_gateway, authority):
    files = authority.sign("live", "localhost")
    gateway = start_gateway(*files.options, authority=authority)
    poll = gateway.create_poll()
    context = authority.client_context(check_hostname=False)

    def serial() -> str:
        with connected(gateway, context) as secure:
            return secure.getpeercert()["serialNumber"]

    seen = {serial()}
    stop = threading.Event()
    failures: list[BaseException] = []

    def vote():
        try:
            for number in itertools.count():
                if stop.is_set():
                    return
                gateway.cast(poll, 0, f"voter {number}")
                requests.get(gateway.url + poll.path, verify=gateway.verify, timeout=15).json()
        except BaseException as failure:  # noqa: BLE001 - told by the test's own thread
            failures.append(failure)

    with Viewer(gateway, f"/ws/polls/{poll.id}/") as viewer:
        viewer.until("snapshot")
        voter = threading.Thread(target=vote)
        voter.start()
        for count in range(1, 4):
            authority.sign("live", "localhost")
            gateway.process.send_signal(signal.SIGHUP)
            said(gateway, "reloaded found=", count)
            deadline = time.monotonic() + 10  # loops take it one after the other
            while (newest := serial()) in seen:
                assert time.monotonic() < deadline
            seen.add(newest)
        stop.set()
        voter.join()
        assert failures == []
        viewer.until("tally", counts=gateway.results(poll)["counts"])
    assert len(seen) == 4


def test_a_bad_new_file_keeps_the_old(start_gateway, authority):
    files = authority.sign("kept", "localhost")
    gateway = start_gateway(*files.options, authority=authority)
    good = files.certificate.read_text()
    other = authority.sign("stranger", "localhost")
    for number, (text, words) in enumerate([
        ("nothing", "holds no PEM certificate"),
        (other.certificate.read_text(), "does not belong to its certificate"),
    ], 1):  # fmt: skip
        files.certificate.write_text(text)
        gateway.process.send_signal(signal.SIGHUP)
        said(gateway, "not reloaded; the old stays in use", number)
        said(gateway, words)
        assert gateway.get("/polls/").ok
    files.certificate.write_text(good)
    gateway.process.send_signal(signal.SIGHUP)
    said(gateway, "reloaded found=")
    assert gateway.get("/polls/").ok


# Starting


def loopback(folder) -> list[str]:
    return ["--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0",
            "--database", f"sqlite:{folder}/pollstream.db"]  # fmt: skip


@pytest.mark.parametrize("command", ["serve", "check"])
def test_every_file_that_cannot_be_used_is_named(command, tmp_path, authority):
    one, other = authority.sign("one", "localhost"), authority.sign("two", "localhost")
    locked = tmp_path / "locked.key"
    authority._openssl("pkcs8", "-topk8", "-in", one.key, "-out", locked, "-passout", "pass:x")
    done = run_to_end(
        command, *loopback(tmp_path),
        "--tls-certificate", tmp_path / "nowhere.pem", "--tls-key", one.key,
        "--tls-certificate", one.certificate, "--tls-key", other.key,
        "--tls-certificate", one.certificate, "--tls-key", locked,
        "--tls-certificate", one.key, "--tls-key", one.key,
        folder=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1
    for words in ("nowhere.pem cannot be read: No such file or directory",
                  f"{other.key} does not belong to its certificate: {one.certificate}",
                  f"{locked} is encrypted; give a key without a passphrase",
                  f"{one.key} holds no PEM certificate"):  # fmt: skip
        assert words in done.stderr
    assert not (tmp_path / "pollstream.db").exists()


def test_a_certificate_without_a_key_is_refused(tmp_path, authority):
    files = authority.sign("alone", "localhost")
    done = run_to_end(
        "check", *loopback(tmp_path), "--tls-certificate", files.certificate, folder=tmp_path
    )
    assert done.returncode == 1
    assert "give a key for each, in the same order" in done.stderr
    done = run_to_end("check", *loopback(tmp_path), "--hsts", "1d", folder=tmp_path)
    assert done.returncode == 1
    assert "--hsts: is for TLS that ends here" in done.stderr


def test_files_may_be_named_by_the_environment(tmp_path, authority):
    one, other = authority.sign("env-one", "a.test"), authority.sign("env-two", "b.test")
    environment = {
        "POLLSTREAM_TLS_CERTIFICATE": f"{one.certificate},{other.certificate}",
        "POLLSTREAM_TLS_KEY": f"{one.key},{other.key}",
    }
    done = run_to_end("check", *loopback(tmp_path), environment=environment, folder=tmp_path)
    assert done.returncode == 0, done.stderr


def test_an_expired_certificate_is_warned_of_and_served(start_gateway, authority, tmp_path):
    files = authority.sign("expired", "localhost", days=-1)
    done = run_to_end("check", *loopback(tmp_path), *files.options, folder=tmp_path)
    assert done.returncode == 0
    assert f"warning: {files.certificate} has expired on " in done.stderr
    gateway = start_gateway(*files.options, authority=authority)
    said(gateway, "has expired on ")
    with pytest.raises(requests.exceptions.SSLError, match="expired"):
        gateway.get("/polls/")
    until = metric(
        gateway,
        "pollstream_tls_certificate_expiry_timestamp_seconds"
        f'{{number="1",file="{files.certificate}"}}',
    )
    assert until < time.time()
