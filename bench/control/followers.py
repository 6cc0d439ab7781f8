"""How each proxy is told to follow Consul, as a table.

All have the same services, a route by host for each, round robin, one thread or worker, and no probes. Otherwise they
run with their defaults, but for what a run needs: see the comments.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Task:
    """What a proxy is to follow: services of an agent with at most so many instances each."""

    port: int
    consul: int
    consul_dns: int
    services: Sequence[str]
    instances: int


@dataclass(frozen=True, slots=True)
class Follower:
    """A proxy; `arguments` writes what it needs into a folder, and says what its program is started with."""

    name: str
    program: str
    title: str
    arguments: Callable[[Task, Path], list[str]]


def _pointsman(task: Task, folder: Path) -> list[str]:
    consul = {"address": f"http://127.0.0.1:{task.consul}"}
    config = {
        "listeners": [{"bind": f"127.0.0.1:{task.port}"}],
        "routes": [{"host": name, "service": name} for name in task.services],
        "services": {
            name: {"discovery": {"consul": {"service": name, **consul}}, "balancer": "round_robin"}
            for name in task.services
        },
    }
    return ["run", "-c", _written(folder / "pointsman.yaml", json.dumps(config))]  # JSON is YAML


def _traefik(options: Mapping[str, str], task: Task, folder: Path) -> list[str]:
    settings = {
        "entrypoints.web.address": f"127.0.0.1:{task.port}",
        "global.checknewversion": "false",
        "providers.consulcatalog.endpoint.address": f"127.0.0.1:{task.consul}",
        "providers.consulcatalog.defaultrule": "Host(`{{ .Name }}`)",
        # Without it, the catalog is polled every 15 s.
        "providers.consulcatalog.watch": "true",
        **options,
    }
    return [f"--{key}={value}" for key, value in settings.items()]


def _haproxy(task: Task, folder: Path) -> list[str]:
    backends = "".join(
        f"backend {name}\n"
        f"  server-template {name} {task.instances} _{name}._tcp.service.consul resolvers consul"
        " resolve-prefer ipv4 init-addr none\n"
        for name in task.services
    )
    config = f"""\
global
  nbthread 1
resolvers consul
  nameserver agent 127.0.0.1:{task.consul_dns}
  # All instances of a service in one answer; by default three would fit.
  accepted_payload_size 8192
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend all
  bind 127.0.0.1:{task.port}
  use_backend %[req.hdr(host)]
{backends}"""
    # -db: stay in the foreground, one process.
    return ["-db", "-f", _written(folder / "haproxy.cfg", config)]


def _written(file: Path, text: str) -> str:
    file.write_text(text)
    return str(file)


FOLLOWERS = {
    follower.name: follower
    for follower in (
        Follower("pointsman", "pointsman", "pointsman", _pointsman),
        Follower("haproxy", "haproxy", "HAProxy, Consul's DNS", _haproxy),
        Follower("traefik", "traefik", "Traefik, throttle of 2 s", lambda task, folder: _traefik({}, task, folder)),
        Follower(
            "traefik-100ms",
            "traefik",
            "Traefik, throttle of 100 ms",
            lambda task, folder: _traefik({"providers.providersthrottleduration": "100ms"}, task, folder),
        ),
    )
}
