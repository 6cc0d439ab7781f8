from dataclasses import replace

import pytest

from bench.rounds import Cores, Ports, Step, plan, settings, spread_addresses
from bench.workloads import WORKLOADS

SMALL, BROWSER = WORKLOADS[:2]
BY_NAME = {workload.name: workload for workload in WORKLOADS}
PORTS = Ports((9001, 9002, 9003), 9004, (9005, 9006, 9007), 9008)


def test_proxies_take_turns_and_each_starts_a_round():
    steps = plan([SMALL], ["a", "b", "c"], rounds=4)

    assert [(step.round, step.proxy) for step in steps] == [
        *[(1, "a"), (1, "b"), (1, "c")],
        *[(2, "b"), (2, "c"), (2, "a")],
        *[(3, "c"), (3, "a"), (3, "b")],
        *[(4, "a"), (4, "b"), (4, "c")],
    ]


def test_one_workload_after_the_other():
    assert plan([SMALL, BROWSER], ["a"], rounds=1) == [Step(SMALL, 1, "a"), Step(BROWSER, 1, "a")]


@pytest.mark.parametrize(
    ("workload", "ports"),
    [("small", [9001, 9002, 9003]), ("slow", [9001, 9002, 9008]), ("websocket", [9005, 9006, 9007])],
)
def test_three_instances_that_suit_the_workload(workload, ports):
    assert PORTS.addresses(BY_NAME[workload]) == [f"127.0.0.1:{port}" for port in ports]


def test_pool_has_an_address_for_each_endpoint():
    addresses = PORTS.addresses(BY_NAME["pool-10000"])

    assert len(set(addresses)) == 10_000
    assert (addresses[0], addresses[-1]) == ("127.1.0.1:9004", "127.1.39.250:9004")


def test_most_addresses_that_there_are():
    assert spread_addresses(64_000, 80)[-1] == "127.1.255.250:80"


def test_pools_are_not_probed_and_all_else_is():
    assert [workload.name for workload in WORKLOADS if not settings(workload)["probes"]] == [
        "pool-3",
        "pool-100",
        "pool-10000",
    ]


def test_unused_connections_to_all_instances_are_kept():
    assert settings(BY_NAME["pool-10000"])["kept"] == 10_064
    assert settings(BY_NAME["small"])["kept"] == 1024


def test_many_connections_are_allowed_where_there_are_many():
    many = [workload.name for workload in WORKLOADS if settings(workload)["connections"] != 4096]

    assert many == ["idle", "pool-10000"]


def test_proxy_has_the_first_core_and_the_load_the_last():
    assert Cores((0, 1, 2, 3)).proxy(2) == (0, 1)
    assert Cores((0, 1, 2, 3)).load == 3


def test_workers_share_cores_when_there_are_fewer():
    assert Cores((0, 1)).proxy(4) == (0, 1)


def test_names_of_workloads_are_their_own():
    assert len(BY_NAME) == len(WORKLOADS)
    assert replace(SMALL, name="other").title == SMALL.title
