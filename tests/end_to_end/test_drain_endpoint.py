"""`pointsman drain` under load: an instance is emptied, killed, started anew and let back, and no request fails."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from click.testing import CliRunner

from proxy.cli import main
from tests.servers.instances import Instances
from tests.servers.load import Load
from tests.servers.pointsman import Pointsman
from tests.servers.program import until

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

NAMES = ("rest-1", "rest-2", "rest-3")
VICTIM = NAMES[1]


def drain(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["drain", *map(str, arguments)])


def test_an_instance_is_replaced_and_nobody_notices(tmp_path: Path) -> None:
    with ExitStack() as stack:
        instances = {name: stack.enter_context(Instances(tmp_path, name)) for name in NAMES}
        file = tmp_path / "instances.json"
        found = [one for instance in instances.values() for one in instance.addresses()]
        file.write_text(json.dumps(found))
        service = {"discovery": {"file": str(file)}, "balancer": "round_robin"}
        proxy = stack.enter_context(Pointsman(tmp_path, {"web": service}))
        proxy.until_in_traffic("web", *NAMES)
        slow = f"{proxy.url}/slow?seconds=0.05"  # so that there is always something in flight
        load = stack.enter_context(Load(tmp_path, slow, clients=12, method="POST", body=2000))
        until(lambda: proxy.endpoints("web")[VICTIM]["in_flight"], "something is in flight")
        admin = f"127.0.0.1:{proxy.admin_port}"
        done = drain("--admin", admin, "web", VICTIM, "--wait", "--timeout", 20, "--reason", "new kernel")
        assert done.exit_code == 0, done.output
        assert done.stdout.startswith(f"{VICTIM} of web is drained by an operator since ")
        assert done.stdout.endswith("nothing is in flight\n")
        instances[VICTIM].kill()
        dead = time.monotonic()
        file.write_text(json.dumps(found[::2]))
        until(lambda: len(proxy.endpoints("web")) == 2, "it has left the registry")
        instances[VICTIM].start()
        file.write_text(json.dumps(found))
        until(lambda: len(proxy.endpoints("web")) == 3, "it has come back")
        assert proxy.in_traffic("web") == {*NAMES} - {VICTIM}  # still drained
        undrained = time.monotonic()
        assert drain("--admin", admin, "web", VICTIM, "--undrain").exit_code == 0
        proxy.until_in_traffic("web", *NAMES)
        until(lambda: proxy.endpoints("web")[VICTIM]["requests"] > 9, "it is used again")
        result = load.finish()
    counts = {name: result.by_instance(dead, undrained)[name] for name in NAMES}
    print(f"\nwhile it was away: {counts}")
    assert counts.pop(VICTIM) == 0
    assert all(counts.values())
    assert not result.failed
