"""Fixtures: a gateway per test module, or one per test where state or arguments matter."""

import pytest

import stores
from balancer import reached
from browser import browser, site, visit  # noqa: F401 -- fixtures
from gateway import Gateway, Poll
from redis import Redis

_gateways: list[Gateway] = []


def _starter(folder):
    """A function that starts gateways, each in its own folder below `folder`, and their list."""
    started: list[Gateway] = []

    def start(*arguments, **options) -> Gateway:
        if "folder" not in options:
            options["folder"] = folder / f"gateway-{len(started)}"
            options["folder"].mkdir()
        gateway = Gateway(options.pop("folder"), *arguments, **options)
        started.append(gateway)
        _gateways.append(gateway)
        return gateway.start()

    return start, started


def _discard(started: list[Gateway]):
    failures = []
    for gateway in started:
        _gateways.remove(gateway)
        try:
            gateway.discard()
        except AssertionError as failure:
            failures.append(failure)
    if failures:
        raise failures[0]


@pytest.fixture
def start_gateway(tmp_path):
    """Starts gateways for this test alone: `start_gateway("--tick", "500ms")`."""
    start, started = _starter(tmp_path)
    yield start
    _discard(started)


@pytest.fixture(scope="module")
def start_module_gateway(tmp_path_factory):
    """The same for all tests of a module: they share its polls, so each makes its own."""
    start, started = _starter(tmp_path_factory.mktemp("module"))
    yield start
    _discard(started)


@pytest.fixture(scope="module")
def gateway(start_module_gateway) -> Gateway:
    """A gateway with every default. A module that needs arguments overrides this fixture."""
    return start_module_gateway()


@pytest.fixture(scope="module", params=["direct", "haproxy"])
def reached_both_ways(request, start_module_gateway, tmp_path_factory) -> Gateway:
    """A gateway with every default, by itself and behind HAProxy: what is wrong is refused alike. A
    module that wants both returns it as its `gateway`."""
    with reached(request.param, start_module_gateway, tmp_path_factory) as gateway:
        yield gateway


@pytest.fixture
def poll(gateway) -> Poll:
    """A fresh open poll with two options, results live, no change of votes."""
    return gateway.create_poll()


@pytest.fixture
def redis() -> Redis:
    """A server of this test's own."""
    redis = Redis()
    yield redis
    redis.remove()


def pytest_sessionfinish():
    stores.close()


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="also the tests that take minutes")


def pytest_collection_modifyitems(config, items):
    """A store's own tests run with that store only, long ones where they are asked for. Modules
    that take long begin first: else all workers but one stand idle while the last of them ends."""
    others = {"sqlite": {"postgres"}, "postgres": {"sqlite", "once"}}[stores.KIND]
    if not config.getoption("--long"):
        others.add("long")
    kept = [item for item in items if not others & {mark.name for mark in item.iter_markers()}]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = sorted(kept, key=_seconds_of_module, reverse=True)


def _seconds_of_module(item) -> float:
    takes = item.get_closest_marker("takes")
    return takes.args[0] if takes else 0


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed:
        for gateway in _gateways:
            report.sections.append((f"log of the gateway in {gateway.folder}", gateway.log_text()))
    return report
