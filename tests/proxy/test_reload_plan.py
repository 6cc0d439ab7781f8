"""What a reload has to do, as it is decided; and the table of what can change, which README shows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import config as config_folder
from config.listener import Listener
from config.load import load, parse
from config.model import Config
from config.service import Service
from proxy.reload import LISTENER, SERVICE, TOP, described, plan_of

README = Path(__file__).parents[2] / "README.md"
SMALL: dict[str, Any] = {
    "listeners": [{"bind": ":80"}, {"bind": "127.0.0.1:0"}, {"bind": "127.0.0.1:0"}],
    "routes": [{"service": "web"}],
    "services": {"web": {"discovery": {"static": ["10.0.0.1:80"]}}},
}


def read(**more: Any) -> Config:
    return parse(yaml.safe_dump({**SMALL, **more}), name="p.yaml", folder=Path("/etc"), environ={})


def web(**more: Any) -> dict[str, Any]:
    return {"services": {"web": {**SMALL["services"]["web"], **more}}}


def test_the_same_file_asks_for_nothing() -> None:
    example = Path(config_folder.__file__).with_name("example.yaml")
    plan = plan_of(load(example, environ={}), load(example, environ={}))
    assert plan.is_empty
    assert (plan.changed, plan.bound, plan.unbound, plan.renewed, plan.blocked) == ((), (), (), frozenset(), ())


@pytest.mark.parametrize(
    ("more", "parts"),
    [
        ({"balancer": "random"}, {"pool", "balancer"}),
        ({"discovery": {"static": ["10.0.0.2:80"]}}, {"feed"}),
        ({"guard": {"hold": "1s"}}, {"feed"}),
        ({"limits": {"in_flight": 1}}, {"terms"}),
        ({"health": {"panic_threshold": "10%"}}, {"pool"}),
        ({"health": {"probe": {"http": "/"}}}, {"pool", "probes", "feed"}),
    ],
)
def test_only_what_a_key_is_for_is_made_anew(more: dict[str, Any], parts: set[str]) -> None:
    assert dict(plan_of(read(), read(**web(**more))).changed) == {"web": parts}


def test_listeners_are_known_by_their_addresses() -> None:
    plan = plan_of(
        read(), read(listeners=[{"bind": "127.0.0.1:0"}, {"bind": ":81"}, {"bind": ":80", "forwarded": "none"}])
    )
    assert plan.kept == ((1, 0), (0, 2))
    assert (plan.bound, plan.unbound, plan.renewed) == ((1,), (2,), frozenset([2]))


def test_what_cannot_change_while_it_runs() -> None:
    assert plan_of(read(), read(admin={"bind": ":9"}, state_dir="x")).blocked == ("admin", "state_dir")


def test_what_a_file_holds_counts() -> None:
    place = ("services", "web", "sticky", "key_file")
    plan = plan_of(read(), read(), {place: ("/k", "1")}, {place: ("/k", "2")})
    assert [name for name, _ in plan.changed] == ["web"]
    assert plan.keys == ("what the file of services.web.sticky.key_file holds",)


def test_every_key_has_its_place_in_the_table() -> None:
    assert set(TOP) == {field.alias or name for name, field in Config.model_fields.items()}
    assert set(SERVICE) == set(Service.model_fields)
    assert set(LISTENER) == set(Listener.model_fields)


def test_readme_shows_the_table() -> None:
    ours = described(TOP)
    ours |= {f"services.NAME.{key}": can for key, can in described(SERVICE).items()}
    ours |= {f"listeners[].{key}": can for key, can in described(LISTENER).items()}
    shown: dict[str, bool] = {}
    for keys, can in re.findall(r"^\| (`.*?) \| (yes|no) \|", README.read_text(), re.MULTILINE):
        shown |= dict.fromkeys(re.findall(r"`([^`]+)`", keys), can == "yes")
    assert shown == ours
