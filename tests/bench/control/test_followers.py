import subprocess

import pytest

from bench.contenders import our_program
from bench.control.followers import FOLLOWERS, Task
from tests.servers.debian import debian_program
from tests.servers.wanted import had_or_skipped

TASK = Task(8080, 8500, 8600, ["web", "shop"], 3)


def test_pointsman_takes_its_configuration(tmp_path):
    _, *arguments = FOLLOWERS["pointsman"].arguments(TASK, tmp_path)
    done = subprocess.run([our_program(), "validate", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_haproxy_takes_its_configuration(tmp_path, request):
    haproxy = had_or_skipped(request.config, "HAProxy", lambda: debian_program("haproxy"))
    _, *arguments = FOLLOWERS["haproxy"].arguments(TASK, tmp_path)
    done = haproxy.run("-c", *arguments, timeout=20)
    assert done.returncode == 0, done.stderr.decode()
    config = (tmp_path / "haproxy.cfg").read_text()
    assert "server-template shop 3 _shop._tcp.service.consul resolvers consul" in config
    assert "nameserver agent 127.0.0.1:8600" in config


@pytest.mark.parametrize(("name", "throttle"), [("traefik", []), ("traefik-100ms", ["100ms"])])
def test_traefik_watches_with_its_throttle_or_a_shorter_one(tmp_path, name, throttle):
    arguments = FOLLOWERS[name].arguments(TASK, tmp_path)
    assert "--providers.consulcatalog.watch=true" in arguments
    assert "--providers.consulcatalog.endpoint.address=127.0.0.1:8500" in arguments
    assert [one.partition("=")[2] for one in arguments if "throttle" in one] == throttle
