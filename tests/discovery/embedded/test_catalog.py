"""Decisions about the catalog, without a socket, a clock or a disk."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discovery.embedded import draft as draft_module
from discovery.embedded.catalog import Applied, Catalog, Check
from discovery.embedded.definition import CheckDefinition, CheckUpdate, ServiceRegistration
from discovery.embedded.draft import Draft
from discovery.embedded.refusal import RefusedError


def service(name: str, **fields: Any) -> ServiceRegistration:
    return ServiceRegistration.model_validate({"Name": name} | fields)


def says(status: str) -> CheckUpdate:
    return CheckUpdate.model_validate({"Status": status})


class Registry:
    """A catalog whose drafts become visible at once."""

    def __init__(self) -> None:
        self.catalog = Catalog()
        self.now = 0.0

    def draft(self) -> Draft:
        return Draft(self.catalog, self.now)

    def do(self, operation: str, *given: Any) -> Applied:
        draft = self.draft()
        getattr(draft, operation)(*given)
        return self.catalog.apply(draft)

    def status(self, check_id: str) -> str:
        return self.catalog.checks[check_id].status


@pytest.fixture
def registry() -> Registry:
    return Registry()


def test_nothing_of_a_draft_is_visible_before_it_is_applied(registry: Registry):
    draft = registry.draft()
    draft.register(service("web", Check={"TTL": "1m"}), False)
    assert registry.catalog.instances("web") == []
    assert registry.catalog.checks == {}
    registry.catalog.apply(draft)
    assert [instance.id for instance in registry.catalog.instances("web")] == ["web"]


def test_operations_of_one_draft_see_each_other(registry: Registry):
    draft = registry.draft()
    draft.register(service("web", Check={"TTL": "1m"}), False)
    draft.report("service:web", says("passing"))
    draft.set_service_maintenance("web", True, "")
    assert draft.deregister("web")
    assert not draft.deregister("web")
    assert draft.lasting() == ({}, {})
    applied = registry.catalog.apply(draft)
    assert (applied.names, applied.services, registry.catalog.index) == (frozenset(), False, 1)


def test_a_refused_operation_leaves_nothing(registry: Registry):
    draft = registry.draft()
    with pytest.raises(RefusedError, match="Missing service name"):
        draft.register(ServiceRegistration.model_validate({"Check": {"TTL": "1m"}}), False)
    assert draft.lasting() == ({}, {})


def test_the_same_registration_again_is_no_change(registry: Registry):
    registry.do("register", service("web", Tags=["a"], Check={"TTL": "1m"}), False)
    index = registry.catalog.index
    applied = registry.do("register", service("web", Tags=["a"], Check={"TTL": "60s"}), True)
    assert applied == Applied(frozenset(), False, frozenset())
    assert registry.catalog.index == index


def test_a_change_wakes_its_own_service_alone(registry: Registry):
    registry.do("register", service("web", Check={"TTL": "1m"}), False)
    registry.do("register", service("api"), False)
    index = registry.catalog.name_index("api")
    applied = registry.do("report", "service:web", says("passing"))
    assert applied == Applied(frozenset({"web"}), False, frozenset({"service:web"}))
    assert registry.catalog.name_index("api") == index < registry.catalog.name_index("web")


def test_the_node_is_every_services_business(registry: Registry):
    registry.do("register", service("web"), False)
    registry.do("register", service("api"), False)
    assert registry.do("set_node_maintenance", True, "").names == {"web", "api"}


def test_a_ttl_runs_out_when_its_time_has_come(registry: Registry):
    registry.do("register", service("web", Check={"TTL": "10s", "Status": "passing"}), False)
    registry.now = 9.9
    registry.do("expire", ["service:web"])
    assert registry.status("service:web") == "passing"
    registry.do("report", "service:web", says("passing"))
    registry.now = 19.8
    registry.do("expire", ["service:web"])
    assert registry.status("service:web") == "passing"
    registry.now = 19.9
    registry.do("expire", ["service:web"])
    assert registry.status("service:web") == "critical"


def test_a_service_is_reaped_after_being_critical_for_all_of_the_time(registry: Registry):
    check = {"TTL": "1h", "Status": "passing", "DeregisterCriticalServiceAfter": "30s"}
    registry.do("register", service("web", Check=check), False)
    for now, status in ((100, "critical"), (120, "passing"), (125, "critical"), (140, "critical")):
        registry.now = now
        registry.do("report", "service:web", says(status))
    registry.now = 154.9
    registry.do("expire", ["service:web"])
    assert registry.catalog.instances("web")
    registry.now = 155
    registry.do("expire", ["service:web"])
    assert not registry.catalog.instances("web")
    assert registry.catalog.checks == {}


def test_a_late_probe_of_a_check_that_changed_is_not_taken(registry: Registry):
    old, new = ({"TCP": f"x:{port}", "Interval": "1s"} for port in (1, 2))
    registry.do("register", service("web", Check=old), False)
    registry.do("register", service("web", Check=new), False)
    registry.do("observe", "service:web", CheckDefinition.model_validate(old), "passing", "")
    assert registry.status("service:web") == "critical"
    registry.do("observe", "service:web", CheckDefinition.model_validate(new), "passing", "")
    assert registry.status("service:web") == "passing"


def test_a_full_registry_takes_changes_and_no_more_services(registry: Registry, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(draft_module, "MOST_SERVICES", 2)
    for name in ("a", "b", "b", "a"):
        registry.do("register", service(name), False)
    with pytest.raises(RefusedError, match="full"):
        registry.do("register", service("c"), False)
    registry.do("deregister", "a")
    registry.do("register", service("c"), False)


NAMES = st.sampled_from("abc")
REPORTS = st.builds(says, st.sampled_from(["passing", "critical"]))
OPERATIONS = st.one_of(
    st.tuples(
        st.just("register"),
        st.builds(
            lambda name, id, port, checks: service(name, ID=id, Port=port, Checks=checks),
            NAMES,
            NAMES,
            st.integers(0, 2),
            st.lists(
                st.fixed_dictionaries(
                    {"TTL": st.sampled_from(["1s", "5s"])},
                    optional={
                        "CheckID": st.sampled_from("xy"),
                        "Status": st.just("passing"),
                        "DeregisterCriticalServiceAfter": st.just("2s"),
                    },
                ),
                max_size=2,
            ),
        ),
        st.booleans(),
    ),
    st.tuples(st.just("deregister"), NAMES),
    st.tuples(st.just("report"), st.sampled_from(["service:a", "x", "y"]), REPORTS),
    st.tuples(st.just("set_service_maintenance"), NAMES, st.booleans(), st.just("")),
    st.tuples(st.just("set_node_maintenance"), st.booleans(), st.just("")),
    st.tuples(st.just("expire")),
)  # fmt: skip


def answer(catalog: Catalog, name: str) -> Any:
    """Return what a reader of the service sees, outputs aside."""

    def seen(checks: list[Check]) -> Any:
        return [(check.id, check.status, check.notes, check.name, check.service_id) for check in checks]

    instances = catalog.instances(name)
    return [(i.definition, seen(catalog.checks_of(i.id)), seen(catalog.checks_of(""))) for i in instances]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.lists(OPERATIONS, max_size=4), st.floats(0, 3)), max_size=12))
def test_whoever_waits_by_index_misses_nothing(batches: list[Any]):
    """A changed answer has a higher index and is told, indexes never go back, and the maps agree with each other."""
    registry = Registry()
    catalog = registry.catalog
    for batch, passes in batches:
        registry.now += passes
        before = {name: (catalog.name_index(name), answer(catalog, name)) for name in "abc"}
        listed = catalog.services_index, catalog.tags_by_name()
        draft = registry.draft()
        for operation, *given_ in batch:
            if operation == "expire":
                given_ = [[check.id for check in catalog.checks.values() if check.deadline <= registry.now]]
            try:
                getattr(draft, operation)(*given_)
            except RefusedError:
                pass
        applied = catalog.apply(draft)

        for name, (index, seen) in before.items():
            assert catalog.name_index(name) >= index
            if answer(catalog, name) != seen:
                assert catalog.name_index(name) > index
                assert name in applied.names
        assert catalog.services_index >= listed[0]
        if catalog.tags_by_name() != listed[1]:
            assert catalog.services_index > listed[0]
            assert applied.services
        for check in catalog.checks.values():
            assert check.service_id == "" or check.service_id in catalog.services
            assert check in catalog.checks_of(check.service_id)
        rebuilt = Catalog(catalog.index, catalog.services.values(), catalog.checks.values())
        for name in "abc":
            assert answer(rebuilt, name) == answer(catalog, name)
            assert rebuilt.name_index(name) >= catalog.name_index(name)
