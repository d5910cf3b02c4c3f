"""The manifests: what Kubernetes is told agrees with itself, and with the gateway it starts."""

import re

import pytest
import yaml

from gateway import REPOSITORY

# The store makes no difference.
pytestmark = pytest.mark.once

MANIFESTS = REPOSITORY / "deploy/kubernetes/pollstream.yaml"


@pytest.fixture(scope="module")
def objects() -> dict[str, dict]:
    return {one["kind"]: one for one in yaml.safe_load_all(MANIFESTS.read_text())}


@pytest.fixture
def pod(objects):
    return objects["Deployment"]["spec"]["template"]["spec"]


@pytest.fixture
def container(pod):
    return pod["containers"][0]


def test_all_select_the_pods_of_the_one_deployment(objects):
    labels = objects["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert objects["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert objects["Service"]["spec"]["selector"] == labels
    assert objects["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    target = objects["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert target["name"] == objects["Deployment"]["metadata"]["name"]
    assert "replicas" not in objects["Deployment"]["spec"]


def test_votes_come_from_everywhere_and_operations_from_prometheus_alone(objects, container):
    policy = objects["NetworkPolicy"]["spec"]
    labels = objects["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert policy["podSelector"]["matchLabels"] == labels
    assert policy["policyTypes"] == ["Ingress"]
    sources = {}
    for rule in policy["ingress"]:
        # A rule without ports is for all of them.
        for port in rule["ports"]:
            sources.setdefault(port["port"], []).append(rule.get("from"))
    assert set(sources) == {port["name"] for port in container["ports"]}
    assert sources["http"] == [None]
    (allowed,) = sources["ops"]
    assert allowed and all(one["namespaceSelector"]["matchLabels"] for one in allowed)


def test_a_drain_fits_into_the_time_that_a_pod_is_given(pod, container):
    given = dict(re.findall(r"--(drain|drain-delay)=(\d+)s", " ".join(container["args"])))
    assert pod["terminationGracePeriodSeconds"] >= sum(map(int, given.values())) + 10
    probe = container["readinessProbe"]
    assert int(given["drain-delay"]) >= 2 * probe["periodSeconds"] * probe["failureThreshold"]


def test_a_gateway_starts_as_described_and_answers_its_probes(container, start_gateway):
    gateway = start_gateway(*container["args"][2:])
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"http": 8080, "ops": 9090}
    for name in ("startupProbe", "livenessProbe", "readinessProbe"):
        asked = container[name]["httpGet"]
        assert asked["port"] == "ops"
        assert gateway.ops("GET", asked["path"]).status_code == 200
    assert container["livenessProbe"]["httpGet"]["path"] == "/livez"
    metric = yaml.safe_load_all(MANIFESTS.read_text())
    scaled = next(one for one in metric if one["kind"] == "HorizontalPodAutoscaler")
    name = scaled["spec"]["metrics"][0]["pods"]["metric"]["name"]
    assert f"\n{name}{{" in gateway.ops("GET", "/metrics").text


def test_the_container_has_no_rights(pod, container):
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    dockerfile = (REPOSITORY / "deploy/Dockerfile").read_text()
    assert f"\nUSER {pod['securityContext']['runAsUser']}\n" in dockerfile
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "cpu" not in container["resources"]["limits"]
