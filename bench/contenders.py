"""How each proxy and the origin behind them are configured and started. The configurations are templates in peers/."""

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.workloads import BODIES

TEMPLATES = Path(__file__).with_name("peers")
OURS = "pointsman"

_CONDITION = re.compile(r"@(if|unless) (\w+)@(.*)", re.DOTALL)
_NAME = re.compile(r"@(\w+)@")


@dataclass(frozen=True, slots=True)
class Contender:
    """A server and how to run it. {folder} and {config} stand for its own folder and its configuration there."""

    name: str
    program: str
    templates: tuple[str, ...]
    """The first is the configuration that the command names; the others lie beside it."""
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    workers: int = 1
    """How many processes or threads carry requests, each with a core of its own while there are as many."""
    on_request: bool = False
    """It is measured when it is named, and not with all the others."""

    def command(
        self, program: str, folder: Path, values: Mapping[str, object], instances: Sequence[str] = ()
    ) -> list[str]:
        """Write the configuration into the folder, and say what to run."""
        values = {"workers": self.workers if self.workers > 1 else "", **values}
        for template in self.templates:
            (folder / template).write_text(render((TEMPLATES / template).read_text(), values, instances))
        config = folder / self.templates[0]
        return [program, *(argument.format(folder=folder, config=config) for argument in self.arguments)]

    def variables(self, folder: Path) -> dict[str, str]:
        """What its environment has beside ours."""
        return {name: value.format(folder=folder) for name, value in self.environment.items()}


# -e: nginx opens its log before it reads a configuration, and what is built in may be a file that only root may write.
_NGINX = ("-e", "stderr", "-p", "{folder}", "-c", "{config}")

ORIGIN = Contender("origin", "nginx", ("origin.conf",), _NGINX)

# As many threads run Go code at a time as there are workers of the others.
_GO = {"GOMAXPROCS": "1", "HOME": "{folder}", "XDG_DATA_HOME": "{folder}", "XDG_CONFIG_HOME": "{folder}"}

PROXIES = {
    proxy.name: proxy
    for proxy in (
        Contender(OURS, OURS, ("pointsman.yaml",), ("run", "-c", "{config}")),
        Contender(f"{OURS}-2", OURS, ("pointsman.yaml",), ("run", "-c", "{config}"), workers=2, on_request=True),
        Contender("nginx", "nginx", ("nginx.conf",), _NGINX),
        # -db: stay in the foreground, one process.
        Contender("haproxy", "haproxy", ("haproxy.cfg",), ("-db", "-f", "{config}")),
        Contender(
            "envoy",
            "envoy",
            ("envoy.yaml",),
            ("-c", "{config}", "--concurrency", "1", "--disable-hot-restart", "--log-level", "error"),
        ),
        Contender("traefik", "traefik", ("traefik.yaml", "traefik_routes.yaml"), ("--configFile={config}",), _GO),
        Contender(
            "caddy", "caddy", ("caddy.caddyfile",), ("run", "--config", "{config}", "--adapter", "caddyfile"), _GO
        ),
    )
}


def our_program() -> Path:
    """pointsman's console script beside the Python that runs this."""
    return Path(sys.executable).with_name(OURS)


def render(template: str, values: Mapping[str, object], instances: Sequence[str] = ()) -> str:
    """Fill in a template. Raises KeyError for a name without a value.

    @name@ is a value. A line that begins with `@if name@` stays if the value is there and not empty or false, with
    `@unless name@` otherwise. One that begins with `@each@` is repeated for each instance, with its @number@, its
    address @instance@, and the parts of that, @host@ and @host_port@.
    """
    return "".join(_lines(template, values, instances))


def _lines(template: str, values: Mapping[str, object], instances: Sequence[str]) -> list[str]:
    lines = []
    for whole in template.splitlines(keepends=True):
        line, stays = whole, True
        while stays and (condition := _CONDITION.match(line)):
            wanted, name, line = condition.groups()
            stays = bool(values[name]) == (wanted == "if")
        if not stays:
            continue
        if not line.startswith("@each@"):
            lines.append(_filled(line, values))
            continue
        for number, instance in enumerate(instances, start=1):
            host, _, port = instance.rpartition(":")
            own = {"number": number, "instance": instance, "host": host, "host_port": port}
            lines.append(_filled(line.removeprefix("@each@"), {**values, **own}))
    return lines


def _filled(line: str, values: Mapping[str, object]) -> str:
    return _NAME.sub(lambda found: str(values[found[1]]), line)


def instance_ports(ports: list[int]) -> dict[str, object]:
    """The names by which the origin's template knows its ports."""
    return {f"instance_{number}": port for number, port in enumerate(ports, start=1)}


def write_bodies(folder: Path) -> None:
    """The files that the origin serves, for all but the bodies which are in its configuration."""
    for path, size in BODIES.items():
        if path not in ("/", "/upload"):
            (folder / path.lstrip("/")).write_bytes(b"x" * size)
