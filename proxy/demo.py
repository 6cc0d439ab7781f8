"""`pointsman demo`: the whole picture on one machine, with words on what to try."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from config.load import parse
from proxy.application import Application

if TYPE_CHECKING:
    from config.units import Bind

NAMES = ("web-1", "web-2", "web-3")
_READY = 10.0  # seconds until all sample instances must be seen

_CONFIG = """
listeners: [{{bind: "{listen}"}}]
routes: [{{service: web}}]
services:
  web:
    discovery: {{consul: {{service: web, address: "http://{registry}"}}}}
    balancer: round_robin
    health: {{probe: {{http: /healthz, interval: 1s, timeout: 1s}}}}
registry: {{bind: "{registry}", data_dir: "{folder}"}}
admin: {{bind: "{admin}"}}
log: {{level: info, format: text}}
drain_timeout: 5s
"""

_INTRODUCTION = """
pointsman listens on http://{listen}. The registry, which speaks Consul's API, is on http://{registry};
three instances have registered themselves in it: {instances}.

Try, in another terminal:
"""

_TO_TRY = (
    ("curl http://{listen}/", "ask; ask again, and another instance answers"),
    ("kill {stopped.pid}", "stop web-1: it deregisters, and traffic moves at once"),
    ("kill -9 {killed.pid}", "kill web-2: the probes find out, and eject it"),
    ("{python} -m proxy.sample --name web-4 --registry http://{registry}", "start one more: it takes traffic at once"),
    ("curl http://{admin}/api/v1/services", "every endpoint with its state, and why"),
    ("curl http://{admin}/api/v1/events", "what happened to them"),
    ("curl http://{admin}/metrics", "for Prometheus"),
)

_WIDE = 46  # columns; a longer command has its explanation on the next line


async def show(listen: Bind, admin: Bind, registry: Bind) -> int:
    """Run the demonstration until a signal ends it; return the exit status. Raises BindError."""
    with tempfile.TemporaryDirectory(prefix="pointsman-demo-") as folder:
        text = _CONFIG.format(listen=listen, admin=admin, registry=registry, folder=folder)
        application = Application(parse(text, name="demo", folder=Path(folder), environ={}))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, application.end)
        samples: dict[str, subprocess.Popen[bytes]] = {}
        try:
            await application.start()
            samples = {name: _start(name, registry) for name in NAMES}
            if await _all_seen(application):
                click.echo(_words(listen, admin, registry, samples))
            await application.ended()
        finally:
            await application.drain()
            for sample in samples.values():
                sample.terminate()
            await asyncio.gather(*(_gone(sample) for sample in samples.values()))
            await application.stop()
    return 1 if application.died else 0


def _start(name: str, registry: Bind) -> subprocess.Popen[bytes]:
    # A session of its own: the terminal's Ctrl-C is for us, and we end the instances when the listener has drained.
    command = [sys.executable, "-m", "proxy.sample", "--attached", "--name", name, "--registry", f"http://{registry}"]
    return subprocess.Popen(command, start_new_session=True)


async def _all_seen(application: Application) -> bool:
    """Wait until every sample instance takes traffic; False when the end came first."""
    deadline = time.monotonic() + _READY
    pool = application.services["web"].pool
    while len(pool.candidates) < len(NAMES) and not application.ending:
        if time.monotonic() > deadline:
            raise RuntimeError(f"only {len(pool.candidates)} of {len(NAMES)} sample instances came up")
        await asyncio.sleep(0.02)
    return not application.ending


async def _gone(sample: subprocess.Popen[bytes]) -> None:
    """Wait for a sample to end; kill it if it does not."""
    deadline = time.monotonic() + 3
    while sample.poll() is None:
        if time.monotonic() > deadline:
            sample.kill()
        await asyncio.sleep(0.02)


def _words(listen: Bind, admin: Bind, registry: Bind, samples: dict[str, subprocess.Popen[bytes]]) -> str:
    facts = {
        "listen": listen,
        "admin": admin,
        "registry": registry,
        "instances": ", ".join(samples),
        "stopped": samples[NAMES[0]],
        "killed": samples[NAMES[1]],
        "python": os.path.relpath(sys.executable),
    }
    lines = [_INTRODUCTION.format(**facts)]
    for template, explanation in _TO_TRY:
        command = template.format(**facts)
        gap = " " * (_WIDE - len(command)) if len(command) < _WIDE else "\n" + " " * (_WIDE + 2)
        lines.append(f"  {command}{gap}{explanation}")
    return "\n".join([*lines, "", "Ctrl-C ends all of it.", ""])
