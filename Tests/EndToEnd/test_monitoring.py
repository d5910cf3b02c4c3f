"""What watches a gateway: the alerts fire when they should, and dashboard and alerts ask a real
Prometheus for nothing that a real gateway does not have."""

import contextlib
import json
import re
import subprocess
import time
import urllib.parse

import pytest
import requests
import yaml

from gateway import REPOSITORY
from live import Viewer
from ports import free_port
from postgres import Server
from redis import Redis
from tls import Authority

ALERTS = REPOSITORY / "deploy/prometheus/alerts.yml"
ALERTS_TEST = REPOSITORY / "deploy/prometheus/alerts_test.yml"
DASHBOARD = REPOSITORY / "deploy/grafana/pollstream.json"
TROUBLESHOOTING = REPOSITORY / "docs/troubleshooting.md"

# A metric with its matchers.
SELECTOR = re.compile(r"\b((?:pollstream|process)_[a-z_]+(?:\{[^}]*\})?)")
STARTS_WITHIN = 30


def alerts() -> list[dict]:
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict]:
    listed = json.loads(DASHBOARD.read_text())["panels"]
    return [panel for panel in listed if panel["type"] != "row"]


def dashboard_expressions() -> list[str]:
    expressions = [target["expr"] for panel in panels() for target in panel["targets"]]
    return [text.replace("$__rate_interval", "10s").replace("$instance", ".*")
            for text in expressions]  # fmt: skip


def promtool(*arguments) -> str:
    done = subprocess.run(
        ["promtool", *arguments], capture_output=True, text=True, timeout=240, cwd=ALERTS.parent
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.timeout(300)
def test_the_alerts_are_rules_and_do_what_their_tests_say():
    promtool("check", "rules", ALERTS.name)
    promtool("test", "rules", ALERTS_TEST.name)


def test_the_configuration_is_one():
    promtool("check", "config", "prometheus.yml")


def test_each_alert_has_a_test_where_it_fires_for_the_one_gateway_that_is_in_trouble():
    cases = [
        case
        for test in yaml.safe_load(ALERTS_TEST.read_text())["tests"]
        for case in test["alert_rule_test"]
    ]
    for alert in alerts():
        fires = [one["exp_alerts"] for one in cases if one["alertname"] == alert["alert"]]
        assert any(fires), alert["alert"]


def test_each_alert_says_what_to_do():
    sections = set(re.findall(r"^## (\w+)$", TROUBLESHOOTING.read_text(), re.M))
    named = {alert["alert"] for alert in alerts()}
    assert named == sections
    for alert in alerts():
        page, _, anchor = alert["annotations"]["runbook"].partition("#")
        assert (REPOSITORY / page) == TROUBLESHOOTING
        assert anchor == alert["alert"].lower()
        assert alert["labels"]["severity"] in ("critical", "warning")


def test_the_dashboard_is_whole_and_readable():
    assert DASHBOARD.stat().st_size < 100_000
    ids = [panel["id"] for panel in json.loads(DASHBOARD.read_text())["panels"]]
    assert len(set(ids)) == len(ids)
    taken = set()
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
    for panel in panels():
        assert panel["description"] and panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert all('instance=~"$instance"' in target["expr"] for target in panel["targets"])


# Against a real Prometheus


class Prometheus:
    """A server of its own that scrapes `gateways` each second, with the rules that we deliver."""

    def __init__(self, folder, gateways):
        self.url = f"http://127.0.0.1:{free_port()}"
        targets = [gateway.ops_url.removeprefix("http://") for gateway in gateways]
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(ALERTS)],
            "scrape_configs": [
                {"job_name": "pollstream", "static_configs": [{"targets": targets}]}
            ],
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        self.log = (folder / "prometheus.log").open("w+")
        self.process = subprocess.Popen(
            [
                "prometheus", "--config.file", folder / "prometheus.yml",
                "--storage.tsdb.path", folder / "data",
                "--web.listen-address", self.url.removeprefix("http://"),
            ],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
        )  # fmt: skip

    def close(self):
        self.process.terminate()
        self.process.wait(30)
        self.log.close()

    def get(self, path: str) -> dict:
        answer = requests.get(self.url + path, timeout=15, proxies={"http": ""})
        assert answer.status_code == 200, f"{path}: {answer.text}"
        return answer.json()["data"]

    def query(self, expression: str) -> list[dict]:
        return self.get("/api/v1/query?" + urllib.parse.urlencode({"query": expression}))["result"]

    def wait_for(self, expression: str):
        """Until the expression has a result."""
        deadline = time.monotonic() + STARTS_WITHIN
        while True:
            with contextlib.suppress(requests.ConnectionError, AssertionError):
                if self.query(expression):
                    return
            self.log.flush()
            assert time.monotonic() < deadline, self.log.name
            time.sleep(0.1)


@pytest.fixture(scope="module")
def watched(tmp_path_factory, start_module_gateway):
    """Two gateways, the first over TLS, that have told each other of votes, the second with
    all that is optional and a broker that is away, and a Prometheus that has seen it."""
    database, redis = Server(fsync="off"), Redis()
    store = database.create_database()
    authority = Authority(tmp_path_factory.mktemp("tls"))
    certificate = authority.sign("gateway", "localhost", days=90).options
    secret = tmp_path_factory.mktemp("keys") / "secret"
    secret.write_text("0123456789abcdef" * 2)
    gateways = [
        start_module_gateway(
            "--redis", redis.url, *certificate, store=store, authority=authority
        ),
        start_module_gateway(
            "--redis", redis.url, "--events", f"amqp://127.0.0.1:{free_port()}/",
            "--retain", "1d", "--jwt-key", secret, store=store,
        ),
    ]  # fmt: skip
    prometheus = Prometheus(tmp_path_factory.mktemp("prometheus"), gateways)
    try:
        poll = gateways[0].create_poll()
        prometheus.wait_for("count(pollstream_relay_subscribed == 1) == 2")
        prometheus.wait_for("count(count_over_time(pollstream_ready[10s]) >= 2) == 2")
        with Viewer(gateways[0], f"/ws/polls/{poll.id}/") as viewer:
            for voter in range(20):
                gateways[voter % 2].cast(poll, 0, f"voter {voter}")
            viewer.until("tally", total=20)
            prometheus.wait_for("sum(pollstream_frames_sent_total) > 0")
            prometheus.wait_for("sum(increase(pollstream_votes_total[10s])) > 0")
            yield prometheus
    finally:
        prometheus.close()
        redis.remove()
        database.remove()


@pytest.mark.postgres
def test_every_series_that_the_dashboard_asks_for_is_there(watched):
    for expression in dashboard_expressions():
        selectors = SELECTOR.findall(expression)
        assert selectors, expression
        for selector in selectors:
            assert watched.query(selector), selector
        if "> 0" not in expression:
            assert watched.query(expression), expression


@pytest.mark.postgres
def test_every_series_that_an_alert_asks_for_is_there(watched):
    for alert in alerts():
        for selector in SELECTOR.findall(alert["expr"]):
            assert watched.query(selector), selector


@pytest.mark.postgres
def test_gateways_that_are_well_raise_no_alert(watched):
    deadline = time.monotonic() + STARTS_WITHIN
    while True:
        rules = [
            rule for group in watched.get("/api/v1/rules")["groups"] for rule in group["rules"]
        ]
        if all(rule["health"] == "ok" for rule in rules):
            break
        assert time.monotonic() < deadline, rules
        time.sleep(0.2)
    assert {rule["name"] for rule in rules} == {alert["alert"] for alert in alerts()}
    assert watched.query('ALERTS{alertstate="firing"}') == []
