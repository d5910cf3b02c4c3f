"""What may be wrong with --events and the broker that it names."""

import contextlib

import pytest

import stores
from gateway import run_to_end
from rabbitmq import EXCHANGE, PASSWORD, Broker, Service
from test_broker import metric, wait_for

pytestmark = pytest.mark.takes(20)


@pytest.fixture(scope="module")
def broker():
    broker = Broker()
    yield broker
    broker.remove()


@pytest.fixture
def service(broker):
    """What a service with a queue hears."""
    service = Service(broker, "test")
    yield service
    service.close()


@pytest.mark.once
def test_a_wrong_password_is_said_once_and_not_repeated(broker, start_gateway):
    url = broker.url_of(broker.port, "wr%2Fong")
    gateway = start_gateway("--events", url)
    gateway.wait_for_line("publishing events lost")
    wait_for(lambda: metric(gateway, "failures_total") > 1)
    log = gateway.log_text()
    assert "ACCESS_REFUSED" in log and log.count("publishing events lost") == 1
    assert "wr%2Fong" not in log and "wr/ong" not in log
    poll = gateway.create_poll(["a", "b"])
    gateway.cast(poll, 0, "Ada")
    assert gateway.ops("GET", "/readyz").status_code == 200


@pytest.mark.once
def test_tls_trusts_only_whom_it_is_told_to(broker, service, start_gateway):
    gateway = start_gateway("--events", f"{broker.tls_url}?cacertfile={broker.authority}")
    gateway.create_poll()
    service.take(lambda: len(service.received) == 1)
    for url in (broker.tls_url, f"{broker.tls_url.replace('localhost', '127.0.0.1')}?cacertfile="
                f"{broker.authority}"):  # fmt: skip
        doubting = start_gateway("--events", url)
        doubting.create_poll()
        doubting.wait_for_line("publishing events lost")
        assert metric(doubting, "published_total") == 0
        assert "verif" in doubting.log_text() and PASSWORD not in doubting.log_text()


@pytest.mark.once
def test_an_exchange_that_is_there_is_taken_as_it_is(broker, start_gateway):
    with contextlib.closing(broker.connect()) as connection:
        channel = connection.channel()
        channel.exchange_delete(EXCHANGE)
        channel.exchange_declare(EXCHANGE, "topic", durable=True)
        queue = channel.queue_declare("", exclusive=True).method.queue
        channel.queue_bind(queue, EXCHANGE, "poll.#")
        gateway = start_gateway("--events", broker.url)
        gateway.create_poll()
        wait_for(lambda: channel.basic_get(queue, auto_ack=True)[0])
        # And where it goes, it is made anew.
        channel.exchange_delete(EXCHANGE)
        gateway.create_poll()
        wait_for(lambda: metric(gateway, "confirmed_total") == 2)
        channel.exchange_declare(EXCHANGE, "direct", durable=True)


@pytest.mark.once
def test_urls_are_checked_before_anything_else(tmp_path):
    store = stores.SQLiteFile(tmp_path)
    for command in ("check", "serve"):
        done = run_to_end(command, "--database", store.uri, "--events", "amqp://ada:hush@h:x")
        assert done.returncode == 1
        assert "--events: has a bad port" in done.stderr and "hush" not in done.stderr
    for url in ("off", "amqp://ada:hush@127.0.0.1:1", "amqps://127.0.0.1:1/polls"):
        done = run_to_end(
            "check", "--database", store.uri, "--events", url, "--listen", "127.0.0.1:0",
            "--ops-listen", "off",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


def test_migrate_ends_what_a_gateway_has_begun(broker, service, start_gateway, tmp_path):
    gateway = start_gateway("--events", broker.url)
    gateway.create_poll()
    service.take(lambda: len(service.received) == 1)
    gateway.stop()
    silent = start_gateway(store=gateway.store, folder=tmp_path)
    silent.create_poll()
    silent.wait_for_line("events are kept")
    silent.stop()
    done = run_to_end("migrate", "--database", gateway.store.uri, "--events", "off")
    assert done.returncode == 0, done.stderr
    again = start_gateway("--events", broker.url, store=gateway.store)
    again.create_poll()
    service.take(lambda: len(service.received) == 2)
    service.take_quiet()
    assert len(service.received) == 2, "what was kept between is forgotten"
