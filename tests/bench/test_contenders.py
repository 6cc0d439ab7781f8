import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from bench.certificate import write_certificate
from bench.contenders import ORIGIN, OURS, PROXIES, instance_ports, our_program, render, write_bodies
from bench.install import _ELSEWHERE
from bench.rounds import settings
from bench.wheels import WHEELS, cached
from bench.workloads import BODIES, WORKLOADS

ADDRESSES = ["127.0.0.1:9001", "127.0.0.1:9002", "127.0.0.1:9003"]
ORIGIN_VALUES = {"folder": "/tmp/x", "small_body": "x", "everywhere": 9004, **instance_ports([9001, 9002, 9003])}
SMALL = WORKLOADS[0]

# What each program is told to look at its configuration and do no more.
CHECKS = {
    "pointsman": ("validate", "-c", "{config}"),
    "nginx": ("-t", "-e", "stderr", "-p", "{folder}", "-c", "{config}"),
    "haproxy": ("-c", "-f", "{config}"),
    "envoy": ("--mode", "validate", "-c", "{config}"),
    "caddy": ("validate", "--config", "{config}", "--adapter", "caddyfile"),
}


def program(name: str) -> str:
    """The path of a proxy's program, if it is at hand: nothing is fetched or installed for this."""
    if name == OURS:
        return str(our_program())
    found = cached(WHEELS[name]) if name in WHEELS else None
    found = found or shutil.which(name, path=os.pathsep.join([os.environ["PATH"], *_ELSEWHERE]))
    if found is None:
        pytest.skip(f"no {name}")
    return found


def test_render_fills_in_names_and_leaves_nginx_variables_alone():
    assert render("listen @port@; set $a $http_host;", {"port": 8080}) == "listen 8080; set $a $http_host;"


def test_name_without_a_value_is_an_error():
    with pytest.raises(KeyError, match="prot"):
        render("listen @prot@;", {"port": 8080})


def test_lines_stay_under_their_conditions():
    template = "@if tls@secret\n@unless tls@plain\n@if log@@if tls@both\nalways\n"

    assert render(template, {"tls": True, "log": False}) == "secret\nalways\n"
    assert render(template, {"tls": "yes", "log": 1}) == "secret\nboth\nalways\n"
    assert render(template, {"tls": "", "log": 1}) == "plain\nalways\n"


def test_line_is_repeated_for_each_instance():
    template = "@each@server @number@ @host@ @host_port@ @instance@ @name@;\n"

    assert render(template, {"name": "web"}, ["10.0.0.1:80", "10.0.0.2:81"]) == (
        "server 1 10.0.0.1 80 10.0.0.1:80 web;\nserver 2 10.0.0.2 81 10.0.0.2:81 web;\n"
    )


@pytest.mark.parametrize("name", PROXIES)
def test_configuration_is_written_where_the_command_looks_for_it(name, tmp_path):
    values = {"port": 8080, "folder": tmp_path, **settings(SMALL)}
    command = PROXIES[name].command("/opt/program", tmp_path, values, ADDRESSES)

    assert command[0] == "/opt/program"
    assert any(argument.endswith(str(tmp_path / PROXIES[name].templates[0])) for argument in command)
    written = "".join((tmp_path / template).read_text() for template in PROXIES[name].templates)
    for port in ("9001", "9002", "9003"):
        assert written.count(port) == 1
    assert "@" not in written.replace('"@type"', "")


# One workload for each of the ways to fill in the templates.
DISTINCT = list({str(settings(workload)): workload for workload in reversed(WORKLOADS)}.values())


@pytest.mark.parametrize("workload", DISTINCT, ids=lambda workload: workload.name)
@pytest.mark.parametrize("name", CHECKS)
def test_program_takes_its_configuration(name, workload, tmp_path):
    if workload.pool > 100:
        workload = replace(workload, pool=100)
    path, proxy = program(name), PROXIES[name]
    addresses = [f"127.0.1.{number + 1}:9000" for number in range(workload.pool)]
    values = {"port": 8080, "folder": tmp_path, **write_certificate(tmp_path), **settings(workload)}
    proxy.command(path, tmp_path, values, addresses)
    config = tmp_path / proxy.templates[0]

    run = subprocess.run(
        [path, *(argument.format(config=config, folder=tmp_path) for argument in CHECKS[name])],
        env={**os.environ, **proxy.variables(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stdout + run.stderr


def test_traefiks_configuration_is_yaml(tmp_path):
    workload = next(workload for workload in WORKLOADS if workload.tls)
    values = {"port": 8080, "folder": tmp_path, **write_certificate(tmp_path), **settings(workload)}
    PROXIES["traefik"].command("traefik", tmp_path, values, ADDRESSES)

    static, routes = (yaml.safe_load((tmp_path / name).read_text()) for name in PROXIES["traefik"].templates)

    assert static["entryPoints"]["web"]["address"] == "127.0.0.1:8080"
    assert static["providers"]["file"]["filename"] == str(tmp_path / "traefik_routes.yaml")
    [service] = routes["http"]["services"].values()
    assert [server["url"] for server in service["loadBalancer"]["servers"]] == [f"http://{each}" for each in ADDRESSES]
    assert routes["tls"]["stores"]["default"]["defaultCertificate"]["keyFile"] == str(tmp_path / "key.pem")


def test_pointsman_with_two_workers_is_one_more_row_for_those_who_name_it(tmp_path):
    assert [name for name, proxy in PROXIES.items() if proxy.on_request] == ["pointsman-2"]
    values = {"port": 8080, "folder": tmp_path, **settings(SMALL)}
    PROXIES["pointsman-2"].command("pointsman", tmp_path, values, ADDRESSES)

    assert yaml.safe_load((tmp_path / "pointsman.yaml").read_text())["workers"] == 2


def test_pointsman_alone_says_nothing_of_workers(tmp_path):
    values = {"port": 8080, "folder": tmp_path, **settings(SMALL)}
    PROXIES[OURS].command("pointsman", tmp_path, values, ADDRESSES)

    config = yaml.safe_load((tmp_path / "pointsman.yaml").read_text())
    assert "workers" not in config
    assert config["services"]["web"]["discovery"]["static"] == ADDRESSES


@pytest.mark.parametrize("name", ["traefik", "caddy"])
def test_go_runs_one_thread_at_a_time(name):
    assert PROXIES[name].variables(Path("/tmp/x")) == {
        "GOMAXPROCS": "1",
        **dict.fromkeys(["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"], "/tmp/x"),
    }


def test_origin_has_a_body_for_every_workload(tmp_path):
    write_bodies(tmp_path)
    ORIGIN.command("nginx", tmp_path, ORIGIN_VALUES)
    written = (tmp_path / "origin.conf").read_text()

    for workload in WORKLOADS:
        file = tmp_path / workload.path.lstrip("/")
        if file.is_file():
            assert file.stat().st_size == BODIES[workload.path]
        else:
            assert f"location = {workload.path} {{ return 200" in written
