"""Fifty changes of the configuration, each other than the one before, while clients of three kinds go on."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

from tests.proxy.clients import Clients, busy_instance
from tests.proxy.running import until
from tests.proxy.test_reload import at_work, configuration, write
from tests.servers.ports import free_ports

if TYPE_CHECKING:
    from pathlib import Path

TIMES = 50
BALANCERS = ("round_robin", "random", "least_request", "peak_ewma", "weighted_round_robin", "maglev")


def changed(config: dict[str, Any], addresses: list[str], ports: list[int], chance: random.Random) -> dict[str, Any]:
    """Change something at random of what the clients must not notice."""

    def service() -> dict[str, Any]:
        made: dict[str, Any] = {
            "discovery": {"static": chance.sample(addresses, chance.randint(1, len(addresses)))},
            "balancer": chance.choice(BALANCERS),
            "limits": {"in_flight": chance.choice([0, 500]), "queue": 500},
            "retries": {"attempts": chance.choice([1, 2])},
            "response_headers": {"set": {"X-Number": str(chance.random())}},
        }
        if chance.random() < 0.3:
            made["health"] = {"probe": {"tcp": True, "interval": "50ms"}}
        if chance.random() < 0.3:
            made["sticky"] = {}
        return made

    services = {name: service() for name in chance.sample(["web", "shop", "api"], chance.randint(1, 3))}
    goals: list[dict[str, Any]] = [{"service": name} for name in services]
    new = {**config, "services": services}
    if chance.random() < 0.5:
        new["splits"] = {"all": {"services": {name: chance.randint(1, 9) for name in services}}}
        goals.append({"split": "all"})
    limit = {"rate_limit": {"requests": 100_000, "per": "1s", "by": "client"}}
    new["routes"] = [
        {"path": "/none", "answer": {"status": 404}},
        {**chance.choice(goals), **(limit if chance.random() < 0.5 else {})},
    ]
    new["listeners"] = [
        {**config["listeners"][0], "forwarded": chance.choice(["x_forwarded", "both"])},
        *({"bind": f"127.0.0.1:{port}"} for port in ports if chance.random() < 0.5),
    ]
    return new


async def test_fifty_changes_in_a_row(tmp_path: Path) -> None:
    seed = random.randrange(10_000)
    print(f"seed {seed}")
    chance, ports = random.Random(seed), free_ports(2)
    async with busy_instance() as first, busy_instance() as second:
        config = configuration(first, second)
        async with at_work(tmp_path, config) as pointsman:
            clients = Clients(f"{pointsman.url}/")
            load = asyncio.create_task(clients.run(keep=3, new=2, large=1))
            reloader = pointsman.application.reloader
            for number in range(1, TIMES + 1):
                write(tmp_path, changed(config, [first, second], ports, chance))
                outcome = await reloader.reload("a test")
                assert outcome.result == "applied", f"{number}: {outcome}"
                sent = clients.sent
                await asyncio.sleep(chance.uniform(0.02, 0.03))  # of traffic under this configuration
                await until(lambda sent=sent: clients.sent > sent)  # type: ignore[misc]
            clients.stop()
            await load
            assert reloader.counts == {"applied": TIMES, "unchanged": 0, "refused": 0}
            assert clients.sent > TIMES
            assert not clients.failed
            await until(lambda: not pointsman.application.catalogs.leaving)
