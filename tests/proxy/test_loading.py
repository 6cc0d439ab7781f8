"""What is loaded by those who do not want it: nothing that is large."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LARGE = {
    "acme", "aiohttp", "bcrypt", "consul", "cryptography", "h2", "josepy", "kazoo", "msgspec", "passlib",
    "prometheus_client", "requests", "sqlite3", "watchfiles",
}  # fmt: skip
LOADED = "print(*sorted(sys.modules))"
CONFIGURED = f"""
import sys
from config.load import parse
from proxy.application import Application
Application(parse(sys.argv[1], name="t", folder=None, environ={{}}))
{LOADED}
"""
PLAIN = """
listeners: [{bind: "127.0.0.1:0"}]
routes: [{service: web}]
services: {web: {discovery: {static: ["127.0.0.1:9"]}, health: {probe: {http: /}}, tls: {}}}
"""
DATA_PATH = f"""
import sys
import proxy.assemble.listeners, proxy.assemble.routes, proxy.listener, proxy.service, proxy.tcp.listener
{LOADED}
"""


def loaded(program: str, *arguments: str) -> set[str]:
    """The modules that a program of its own has loaded."""
    ran = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, check=True, text=True)
    return set(ran.stdout.split())


def test_a_plain_configuration_loads_no_library_that_only_others_need() -> None:
    assert not loaded(CONFIGURED, PLAIN) & LARGE


def test_the_admin_address_loads_what_it_needs() -> None:
    assert loaded(CONFIGURED, f'{PLAIN}admin: {{bind: "127.0.0.1:0"}}') & LARGE == {"prometheus_client"}


def test_the_data_path_loads_no_registries_and_no_command_line() -> None:
    modules = loaded(DATA_PATH)
    assert not modules & {*LARGE, "click", "yaml"}
    assert not {
        name for name in modules if name.startswith(("discovery.consul.reg", "discovery.static", "discovery.file"))
    }
    assert not modules & {
        "discovery.keeper",
        "proxy.admin",
        "proxy.metrics",
        "proxy.registries",
        "proxy.takeover.offer",
    }


WITHOUT_PYDANTIC = f"""
import sys
import config.without_pydantic, proxy.cli
from pathlib import Path
from proxy.config_file import ConfigFile
from proxy.application import Application
Application(ConfigFile(Path(sys.argv[1])).load().config)
{LOADED}
"""


def test_a_process_that_runs_for_long_has_no_pydantic_and_no_yaml(tmp_path: Path) -> None:
    file = tmp_path / "pointsman.yaml"
    file.write_text(f'{PLAIN}admin: {{bind: "127.0.0.1:0"}}\ntakeover: {{socket: t.sock}}\n')
    modules = loaded(WITHOUT_PYDANTIC, str(file))
    assert not modules & {*LARGE - {"prometheus_client", "msgspec"}, "pydantic", "pydantic_core", "yaml", "config.load"}


def test_the_command_line_loads_other_commands_when_they_are_run() -> None:
    modules = loaded(f"import sys, proxy.cli; {LOADED}")
    assert not modules & {*LARGE, "proxy.commands.register", "proxy.demo", "proxy.simulate"}
