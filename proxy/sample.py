"""A small instance for trying things out: registers itself, answers with its name, deregisters when it ends.

python -m proxy.sample --name web-1 --registry http://127.0.0.1:8500
"""

from __future__ import annotations

import asyncio
import os
import signal

import aiohttp
import click
import uvloop
from aiohttp import web


@click.command()
@click.option("--name", required=True, help="Its name, and its id in the registry.")
@click.option("--service", default="web", show_default=True, help="The service that it is an instance of.")
@click.option("--registry", required=True, help="The registry's address, as in http://127.0.0.1:8500.")
@click.option("--port", default=0, help="Where it listens on 127.0.0.1; 0 takes a free one.")
@click.option("--weight", default=1, help="Its share of the requests, relative to the others.")
@click.option("--attached", is_flag=True, help="End when the process that started it does.")
def main(name: str, service: str, registry: str, port: int, weight: int, attached: bool) -> None:
    """Run one sample instance until a signal ends it."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(name, service, registry, port, weight, os.getppid() if attached else 0))


async def _serve(name: str, service: str, registry: str, port: int, weight: int, parent: int) -> None:
    loop = asyncio.get_running_loop()
    end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end.set)

    async def hello(request: web.Request) -> web.Response:
        return web.Response(text=f"hello from {name} (process {os.getpid()})\n")

    async def healthy(request: web.Request) -> web.Response:
        return web.Response(text="fine\n")

    app = web.Application()
    app.add_routes([web.get("/healthz", healthy), web.route("*", "/{path:.*}", hello)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    port = runner.addresses[0][1]
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        check = {"HTTP": f"http://127.0.0.1:{port}/healthz", "Interval": "1s", "Status": "passing"}
        registration = {
            "ID": name,
            "Name": service,
            "Address": "127.0.0.1",
            "Port": port,
            "Weights": {"Passing": weight, "Warning": 1},
            "Check": {**check, "DeregisterCriticalServiceAfter": "1m"},
        }
        await session.put(f"{registry}/v1/agent/service/register", json=registration)
        await _ended(end, parent)
        try:
            await session.put(f"{registry}/v1/agent/service/deregister/{name}")
        except aiohttp.ClientError as error:
            click.echo(f"{name}: could not deregister: {error}", err=True)
        await asyncio.sleep(0.2)  # the proxies that watch stop sending; what is under way is answered
    await runner.cleanup()


async def _ended(end: asyncio.Event, parent: int) -> None:
    """Wait for the end, or for that of the parent, if there is one: orphans get another."""
    while not end.is_set() and (not parent or os.getppid() == parent):
        try:
            await asyncio.wait_for(end.wait(), 0.5)
        except TimeoutError:
            pass


if __name__ == "__main__":
    main()
