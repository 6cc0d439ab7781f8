"""What the figures were measured on. Figures of two machines, or of two versions, are not to be compared."""

import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bench.contenders import OURS
from bench.install import PACE

_CONGESTION = Path("/proc/sys/net/ipv4/tcp_congestion_control")
_PACKAGES = ("pointsman", "uvloop", "httptools")

# How the others than nginx, HAProxy and wrk are asked for their version.
_VERSION = {
    "envoy": ("--version",),
    "traefik": ("version", "--format={{.Version}} ({{.GoVersion}})"),
    "caddy": ("version",),
    "h2load": ("--version",),
}


def describe(programs: Mapping[str, str]) -> dict[str, object]:
    """The machine, and the version of everything that takes part."""
    return {
        "cpu": cpu_model(Path("/proc/cpuinfo").read_text().splitlines()),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "congestion_control": _CONGESTION.read_text().strip() if _CONGESTION.exists() else None,
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", "unknown"),
        "python": platform.python_version(),
        "load_average": os.getloadavg(),
        "commit": _first_line(
            ["git", "--no-optional-locks", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
        ),
        "pointsman": _first_line([programs[OURS], "version"]) if OURS in programs else None,
        "versions": {
            **{
                name: _first_line([path, *_VERSION.get(name, ("-v",))])
                for name, path in programs.items()
                if name not in (OURS, PACE)
            },
            **{name: _package(name) for name in _PACKAGES},
        },
    }


def cpu_model(cpuinfo: Iterable[str]) -> str:
    """The CPU's name; not every architecture's /proc/cpuinfo has one."""
    for line in cpuinfo:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _package(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _first_line(command: list[str]) -> str | None:
    # nginx says its version on stderr, the others on stdout; wrk's exit status is 1 though all is well.
    try:
        run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    except FileNotFoundError:
        return None
    lines = [line.strip() for line in run.stdout.splitlines() if line.strip()]
    return lines[0] if lines and not lines[0].startswith("fatal:") else None
