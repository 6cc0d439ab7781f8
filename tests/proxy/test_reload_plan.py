"""What a reload has to do, as it is decided; and the table of what can change, which README shows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

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


_KEYS = st.fixed_dictionaries(
    {"discovery": st.sampled_from([{"static": ["10.0.0.1:80"]}, {"static": ["10.0.0.2:80"]}])},
    optional={
        "balancer": st.sampled_from(["random", "least_request"]),
        "limits": st.sampled_from([{"in_flight": 1}, {"in_flight": 2}]),
        "health": st.sampled_from([{"probe": {"http": "/"}}, {"panic_threshold": "10%"}]),
        "sticky": st.just({}),
    },
)
_BINDS = st.sampled_from([":80", ":81", "127.0.0.1:0", "unix:/run/p.sock"]).map(lambda bind: {"bind": bind})
_LISTENERS = st.lists(
    st.tuples(_BINDS, st.sampled_from([{}, {"forwarded": "none"}])).map(lambda both: both[0] | both[1]),
    min_size=1,
    max_size=5,
    unique_by=lambda one: one["bind"] if one["bind"] != "127.0.0.1:0" else id(one),
)
_FILES = st.builds(
    lambda listeners, services, top: {
        "listeners": listeners,
        "services": services,
        "routes": [{"service": next(iter(services))}],
        **top,
    },
    _LISTENERS,
    st.dictionaries(st.sampled_from(["web", "shop", "api"]), _KEYS, min_size=1),
    st.fixed_dictionaries(
        {},
        optional={
            "forwarded": st.sampled_from(["none", "both"]),
            "retries": st.just({"attempts": 1}),
            "admin": st.sampled_from([{"bind": ":9"}, {"bind": ":10"}]),
            "log": st.just({"level": "debug"}),
            "access_log": st.just({"path": "/tmp/a"}),
        },
    ),
)


@settings(max_examples=60, deadline=None)
@given(_FILES, _FILES)
def test_whatever_changes_everything_has_one_fate(before: dict[str, Any], after: dict[str, Any]) -> None:
    old, new = (parse(yaml.safe_dump(one), name="p.yaml", folder=Path("/"), environ={}) for one in (before, after))
    plan = plan_of(old, new)
    changed = dict(plan.changed)
    assert plan.is_empty == (old == new and list(old.services) == list(new.services))
    assert sorted([*plan.unbound, *(here for here, _ in plan.kept)]) == list(range(len(old.listeners)))
    assert sorted([*plan.bound, *(there for _, there in plan.kept)]) == list(range(len(new.listeners)))
    assert all(old.listeners[here].bind == new.listeners[there].bind for here, there in plan.kept)
    assert plan.renewed <= {there for _, there in plan.kept}
    assert sorted([*plan.same, *changed, *plan.ended]) == sorted(old.services)
    assert sorted([*plan.same, *changed, *plan.made]) == sorted(new.services)
    assert all(old.services[name] == new.services[name] for name in plan.same)
    assert all(changed.values())
    assert plan.blocked == (("admin",) if old.admin != new.admin else ())
    back = plan_of(new, old)
    assert (back.made, back.ended) == (plan.ended, plan.made)
    assert {there: here for here, there in plan.kept} == dict(back.kept)
