"""The configuration is changed again and again under load, and no request fails for it."""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.servers.instances import Instances
from tests.servers.load import Load
from tests.servers.pointsman import Pointsman
from tests.servers.ports import free_port
from tests.servers.program import ask

NAMES = ("reload-1", "reload-2", "reload-3")
BALANCERS = ("round_robin", "random", "least_request", "peak_ewma", "weighted_round_robin", "maglev")


def changed(
    config: dict[str, Any], addresses: list[dict[str, object]], other: int, chance: random.Random
) -> dict[str, Any]:
    """Change something at random of what the clients must not notice."""
    web: dict[str, Any] = {
        "discovery": {"static": chance.sample(addresses, chance.randint(1, len(addresses)))},
        "balancer": chance.choice(BALANCERS),
        "limits": {"in_flight": chance.choice([0, 500]), "queue": 500},
        "timeouts": {"response_head": chance.choice(["10s", "20s"])},
        "retries": {"attempts": chance.choice([1, 2])},
    }
    if chance.random() < 0.5:
        web["health"] = {"probe": {"http": "/healthz", "interval": chance.choice(["500ms", "1s"])}}
    if chance.random() < 0.3:
        web["sticky"] = {}
    name = chance.choice(["web", "shop"])
    new = {**config, "services": {name: web}, "routes": [{"service": name}]}
    new["listeners"] = config["listeners"][:1] + ([{"bind": f"127.0.0.1:{other}"}] if chance.random() < 0.5 else [])
    new["forwarded"] = chance.choice(["x_forwarded", "both"])
    return new


def reloaded_under_load(folder: Path, times: int, seed: int) -> tuple[Counter[str], Counter[str]]:
    """Reload so often while clients send; return how many requests there were, and why some failed."""
    chance, other = random.Random(seed), free_port()
    with Instances(folder, *NAMES) as instances:
        addresses = instances.addresses()
        web = {"discovery": {"static": addresses}}
        with Pointsman(folder, {"web": web}, reload={"watch": False}) as proxy:
            file = folder / "pointsman.yaml"
            config = json.loads(file.read_text())
            with (
                Load(folder, proxy.url, clients=8) as reading,
                Load(
                    folder, f"{proxy.url}/slow?seconds=0.05", clients=4, method="POST", body=2000, name="writing"
                ) as writing,
            ):
                for number in range(times):
                    new = changed(config, addresses, other, chance)
                    file.write_text(json.dumps(new))
                    answer = ask(proxy.admin_port, "/-/reload", "POST")
                    assert answer.status == 200, f"{number}: {answer.text}"
                    time.sleep(chance.uniform(0.02, 0.05))  # of traffic under this configuration
                results = {"GET": reading.finish(), "POST": writing.finish()}
            assert proxy.metric('pointsman_config_reloads_total{result="refused"}') == 0
    sent = Counter({name: result.sent for name, result in results.items()})
    failed = Counter(one.reason for result in results.values() for one in result.failed)
    return sent, failed


def show(what: str, times: int, sent: Counter[str], failed: Counter[str]) -> None:
    print(f"\n{'what':<12} {'times':>6} {'sent':>7} {'failed':>7}  why")
    why = "; ".join(f"{count} x {reason}" for reason, count in failed.items()) or "-"
    print(f"{what:<12} {times:>6} {sent.total():>7} {failed.total():>7}  {why}", flush=True)


def test_no_request_fails_while_the_configuration_is_changed(tmp_path: Path) -> None:
    sent, failed = reloaded_under_load(tmp_path, times=20, seed=1)
    show("reload", 20, sent, failed)
    assert sent.total() > 20
    assert not failed


def main() -> int:
    times, seed = int(os.environ.get("SOAK_RELOADS", "50")), random.randrange(10_000)
    with tempfile.TemporaryDirectory(prefix="reloads-") as folder:
        sent, failed = reloaded_under_load(Path(folder), times, seed)
    show(f"reload ({seed})", times, sent, failed)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
