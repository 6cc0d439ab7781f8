"""How each proxy and the origin behind them are configured and started. The configurations are templates in peers/."""

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.workloads import BODIES

TEMPLATES = Path(__file__).with_name("peers")
OURS = "pointsman"
INSTANCES = 3


@dataclass(frozen=True, slots=True)
class Contender:
    """A server and how to run it. {folder} and {config} stand for its own folder and its configuration there."""

    name: str
    program: str
    template: str
    arguments: tuple[str, ...]

    def command(self, program: str, folder: Path, values: Mapping[str, object]) -> list[str]:
        """Write the configuration into the folder, and say what to run."""
        config = folder / self.template
        config.write_text(render((TEMPLATES / self.template).read_text(), values))
        return [program, *(argument.format(folder=folder, config=config) for argument in self.arguments)]


# -e: nginx opens its log before it reads a configuration, and what is built in may be a file that only root may write.
_NGINX = ("-e", "stderr", "-p", "{folder}", "-c", "{config}")

ORIGIN = Contender("origin", "nginx", "origin.conf", _NGINX)

PROXIES = {
    proxy.name: proxy
    for proxy in (
        Contender(OURS, OURS, "pointsman.yaml", ("run", "-c", "{config}")),
        Contender("nginx", "nginx", "nginx.conf", _NGINX),
        # -db: stay in the foreground, one process.
        Contender("haproxy", "haproxy", "haproxy.cfg", ("-db", "-f", "{config}")),
    )
}


def our_program() -> Path:
    """pointsman's console script beside the Python that runs this."""
    return Path(sys.executable).with_name(OURS)


def render(template: str, values: Mapping[str, object]) -> str:
    """Fill in each @name@. Raises KeyError for a name without a value."""
    return re.sub(r"@(\w+)@", lambda found: str(values[found[1]]), template)


def instance_ports(ports: list[int]) -> dict[str, object]:
    """The names by which the templates know the origin's ports."""
    return {f"instance_{number}": port for number, port in enumerate(ports, start=1)}


def write_bodies(folder: Path) -> None:
    """The files that the origin serves, for all but the small body, which is in its configuration."""
    for path, size in BODIES.items():
        if path != "/":
            (folder / path.lstrip("/")).write_bytes(b"x" * size)
