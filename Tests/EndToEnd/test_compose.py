"""The files for containers, by the same steps without an engine: every gateway that a compose file
describes starts as described, on private servers in place of the containers."""

import os
import re
import subprocess
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
import yaml

from gateway import REPOSITORY, binary
from live import Viewer
from postgres import server_fixture

pytestmark = pytest.mark.postgres

FILES = ["compose.yaml", "compose.services.yaml"]


def described(name):
    return yaml.safe_load((REPOSITORY / "deploy" / name).read_text())


def gateways_of(name):
    services = described(name)["services"]
    return {key: value for key, value in services.items() if "build" in value}


server = server_fixture(fsync="off")


def start_as_described(service, database, redis, start_gateway):
    """What the container would run, with its hosts and ports replaced."""
    settings = {"--proxy-protocol": "optional"}
    words = service["command"][2:]
    for name, value in service.get("environment", {}).items():
        words = words + [f"--{name.removeprefix('POLLSTREAM_').lower().replace('_', '-')}={value}"]
    arguments = []
    for word in words:
        option, value = word.split("=", 1)
        if option in ("--database", "--listen"):
            continue
        if option == "--redis":
            value = redis.url
        # What stands for a variable that nobody has set.
        value = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)
        arguments += [option, settings.get(option, value)]
    return start_gateway(*arguments, store=database)


@pytest.mark.parametrize("name", FILES)
def test_every_gateway_starts_as_described(name, server, redis, start_gateway):
    database = server.create_database()
    started = {
        key: start_as_described(service, database, redis, start_gateway)
        for key, service in gateways_of(name).items()
    }
    polls = started.get("polls") or started["gateway"]
    votes = started.get("votes") or started["gateway"]
    live = started.get("live") or started["gateway"]
    poll = polls.create_poll(["Yes", "No"])
    with Viewer(live, f"/ws/polls/{poll.id}/") as viewer:
        viewer.until("snapshot")
        votes.cast(poll, 1, "ada")
        assert viewer.until("tally", total=1)["counts"] == [0, 1]


@pytest.mark.parametrize("name", FILES)
def test_published_ports_are_listened_on(name):
    for service in gateways_of(name).values():
        listened = {
            word.rpartition(":")[2] for word in service["command"] if word.startswith("--listen")
        }
        published = {ports.rpartition(":")[2] for ports in service.get("ports", [])}
        assert published == listened


@pytest.mark.parametrize("name", FILES)
def test_what_is_not_for_voters_is_published_on_this_machine_alone(name):
    gateways = gateways_of(name)
    for key, service in described(name)["services"].items():
        if key != "balancer" and key not in gateways:
            assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), key
    published = [port for one in gateways.values() for port in one.get("ports", [])]
    assert not any(port.rpartition(":")[2] == "9090" for port in published)


@pytest.mark.parametrize("name", FILES)
def test_what_the_monitoring_mounts_is_there_and_fits_together(name):
    services = described(name)["services"]
    watching = {
        name: one for name, one in services.items() if "monitoring" in one.get("profiles", [])
    }
    assert set(watching) == {"prometheus", "grafana"}
    mounts = [mount.split(":")[:2] for one in watching.values() for mount in one["volumes"]]
    assert all((REPOSITORY / "deploy" / source).exists() for source, _ in mounts)
    (source,) = described("grafana/datasource.yaml")["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = described("grafana/provisioning.yaml")["providers"]
    assert any(target.startswith(provider["options"]["path"] + "/") for _, target in mounts)
    (job,) = described("prometheus/prometheus.yml")["scrape_configs"]
    assert gateways_of(name).keys() <= set(job["dns_sd_configs"][0]["names"])
    volumes = {
        mount.partition(":")[0] for one in services.values() for mount in one.get("volumes", [])
    }
    assert {volume for volume in volumes if volume[0] != "."} == described(name)["volumes"].keys()


def test_the_balancer_of_the_compose_file_is_one(tmp_path):
    text = described("compose.yaml")["configs"]["balancer"]["content"]
    (tmp_path / "haproxy.cfg").write_text(text)
    checked = subprocess.run(
        ["haproxy", "-c", "-f", tmp_path / "haproxy.cfg"], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stderr


def test_the_balancer_of_the_parts_is_the_one_they_believe():
    """haproxy.services.cfg finds the parts by their names and ports; test_services.py runs it."""
    compose = described("compose.services.yaml")
    balancer = compose["services"]["balancer"]
    (mount,) = balancer["volumes"]
    source, _, _ = mount.split(":")
    text = (REPOSITORY / "deploy" / source).read_text()
    for name, part in gateways_of("compose.services.yaml").items():
        (listen,) = [word for word in part["command"] if word.startswith("--listen=")]
        assert f" {name}:{listen.rpartition(':')[2]} " in text
        assert name in balancer["depends_on"]
        address = balancer["networks"]["default"]["ipv4_address"]
        assert part["environment"]["POLLSTREAM_TRUSTED_PROXY"] == address
    (network,) = compose["networks"]["default"]["ipam"]["config"]
    assert ip_address(address) in ip_network(network["subnet"])
    assert ip_address(address) not in ip_network(network["ip_range"])
    assert balancer["ports"] == ["8080:8080"] and "\n    bind :8080\n" in text


def test_the_image_has_the_libraries_that_the_binary_asks_for():
    """Of those that Debian has; the runtime of Swift is inside the binary."""
    dockerfile = (REPOSITORY / "deploy" / "Dockerfile").read_text()
    needed = subprocess.run(
        ["objdump", "-p", binary()], capture_output=True, text=True, check=True
    ).stdout
    for line in needed.splitlines():
        if "NEEDED" not in line:
            continue
        library = line.split()[1]
        owner = package_of(library)
        if owner and owner not in ("libc6", "libgcc-s1"):
            assert owner in dockerfile, f"{library} is in {owner}"


def package_of(library: str) -> str | None:
    for folder in ("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu"):
        path = Path(folder) / library
        if path.exists():
            said = subprocess.run(
                ["dpkg", "-S", os.path.realpath(path)], capture_output=True, text=True
            ).stdout
            for line in said.splitlines():
                return line.split(":")[0]
    return None
