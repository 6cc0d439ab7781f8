from pathlib import Path

import pytest
import yaml

from bench.contenders import ORIGIN, PROXIES, instance_ports, render, write_bodies
from bench.workloads import BODIES, WORKLOADS

VALUES = {"port": 8080, "folder": "/tmp/x", "small_body": "x", **instance_ports([9001, 9002, 9003])}


def test_render_fills_in_names_and_leaves_nginx_variables_alone():
    assert render("listen @port@; set $a $http_host;", VALUES) == "listen 8080; set $a $http_host;"


def test_name_without_a_value_is_an_error():
    with pytest.raises(KeyError, match="prot"):
        render("listen @prot@;", VALUES)


@pytest.mark.parametrize("contender", [ORIGIN, *PROXIES.values()], ids=lambda contender: contender.name)
def test_configuration_is_written_where_the_command_looks_for_it(contender, tmp_path):
    command = contender.command("/opt/program", tmp_path, VALUES)

    [config] = [Path(argument) for argument in command if argument.endswith(contender.template)]
    assert command[0] == "/opt/program"
    assert config.parent == tmp_path
    for port in ("9001", "9002", "9003"):
        assert config.read_text().count(f"127.0.0.1:{port}") == 1


def test_pointsmans_configuration_is_yaml(tmp_path):
    PROXIES["pointsman"].command("pointsman", tmp_path, VALUES)

    config = yaml.safe_load((tmp_path / "pointsman.yaml").read_text())

    assert config["listeners"] == [{"bind": "127.0.0.1:8080"}]
    assert config["services"]["web"]["discovery"]["static"] == ["127.0.0.1:9001", "127.0.0.1:9002", "127.0.0.1:9003"]


def test_origin_has_a_body_for_every_workload(tmp_path):
    write_bodies(tmp_path)

    for workload in WORKLOADS:
        if workload.path != "/":
            assert (tmp_path / workload.path.lstrip("/")).stat().st_size == BODIES[workload.path]
