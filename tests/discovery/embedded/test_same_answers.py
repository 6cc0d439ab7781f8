"""The embedded registry answers what a real Consul answers, key by key.

Left out of the comparison is what cannot be the same: the node's name and ID, indexes, and the wording of what an
HTTP or TCP probe found.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from tests.discovery.embedded.client import eventually

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.discovery.embedded.client import Client

Both = tuple["Client", "Client"]

REGISTER = "/v1/agent/service/register"


def plain(answer: Any) -> Any:
    """Replace what differs from registry to registry."""
    if isinstance(answer, list | tuple):
        return [plain(value) for value in answer]
    if not isinstance(answer, dict):
        return answer
    kept = {key: plain(value) for key, value in answer.items()}
    if "CreateIndex" in kept:
        kept["CreateIndex"] = kept["ModifyIndex"] = "an index"
    if "Datacenter" in kept:
        kept["ID"] = kept["Node"] = "the node"
    if "CheckID" in kept:
        kept["Node"] = "the node"
    if kept.get("Type") in ("http", "tcp"):
        kept["Output"] = "what the probe found"
    return kept


async def same(both: Both, ask: Callable[[Client], Awaitable[Any]]) -> Any:
    """Ask both until they agree: an agent of Consul tells its servers of a change a little after it answers."""
    real, embedded = both
    wanted = plain(await ask(embedded))

    async def found() -> Any:
        return plain(await ask(real))

    await eventually(found, wanted, deadline=5)
    return wanted


async def health(both: Both, name: str, query: str = "") -> Any:
    async def ask(client: Client) -> Any:
        return (await client.health(client.name(name), query)).json

    return await same(both, ask)


async def mine(client: Client, path: str) -> Any:
    """Ask for a map, and return of it what this test put there."""
    return {key: value for key, value in (await client.get(path)).json.items() if client.prefix in key}


async def everything(both: Both, *names: str) -> None:
    """Compare all that can be read of these services."""
    for name in names:
        await health(both, name)

        async def catalog_entry(client: Client, name: str = name) -> Any:
            return (await client.get(f"/v1/catalog/service/{client.name(name)}")).json

        await same(both, catalog_entry)

    async def tags(client: Client) -> Any:
        return {name: sorted(tags) for name, tags in (await mine(client, "/v1/catalog/services")).items()}

    await same(both, tags)

    async def states(client: Client) -> Any:
        checks = (await client.get("/v1/health/state/any")).json
        return sorted((check for check in checks if client.prefix in check["ServiceName"]), key=lambda c: c["CheckID"])

    await same(both, states)
    await same(both, lambda client: mine(client, "/v1/agent/services"))
    await same(both, lambda client: mine(client, "/v1/agent/checks"))


SERVICES: dict[str, dict[str, object]] = {
    "name only": {},
    "full": {
        "Tags": ["a", "b"],
        "Address": "10.1.2.3",
        "Port": 8080,
        "Meta": {"zone": "eu-1a"},
        "Weights": {"Passing": 10, "Warning": 2},
        "EnableTagOverride": True,
        "Check": {"TTL": "10s", "Notes": "said by itself", "Status": "passing"},
    },
    "host name": {"Address": "one.example", "Port": 1},
    "IPv6": {"Address": "2001:db8::1", "Port": 1},
    "tagged addresses": {
        "Address": "10.1.2.3",
        "TaggedAddresses": {"lan": {"Address": "1.2.3.4", "Port": 5}, "lan_ipv4": {"Address": "9.9.9.9", "Port": 6}},
    },
    "nulls": {"ID": None, "Tags": None, "Meta": None, "Check": None, "Checks": None, "Weights": None, "Port": None},
    "any case": {"tags": ["x"], "PORT": 5, "address": "10.1.2.3", "weights": {"passing": 3}, "check": {"ttl": "1m"}},
    "snake case": {
        "enable_tag_override": True,
        "tagged_addresses": {"wan": {"address": "1.2.3.4", "port": 5}},
        "Check": {"TTL": "1m", "deregister_critical_service_after": "90m", "tls_skip_verify": False},
    },
    "repeated tags": {"Tags": ["a", "a", "", "b"]},
    "weight of warning left out": {"Weights": {"Passing": 5}},
    "several checks": {"Checks": [{"TTL": "10s"}, {"TTL": "20s", "Status": "warning"}]},
    "check and checks": {"Check": {"TTL": "10s"}, "Checks": [{"TTL": "20s"}, {"TTL": "30s"}]},
    "numbers count all checks": {"Checks": [{"TTL": "1m", "CheckID": "@named"}, {"TTL": "1m"}]},
    "check ID twice": {"Checks": [{"TTL": "1m", "CheckID": "@two", "Name": "one"}, {"TTL": "1m", "CheckID": "@two"}]},
    "empty check": {"Check": {}},
    "no TTL": {"Check": {"TTL": "0s"}},
    "token and ID of the service ignored": {"Token": "t", "Check": {"TTL": "1h", "ServiceID": "other"}},
    "HTTP check": {"Check": {"HTTP": "http://127.0.0.1:1/", "Interval": "1h", "Header": {"X-A": ["b"]}}},
    "TCP check": {"Check": {"TCP": "127.0.0.1:1", "Interval": "1h", "Status": "passing", "Name": "dial"}},
    "HTTP before TCP": {"Check": {"HTTP": "http://127.0.0.1:1/", "TCP": "127.0.0.1:1", "Interval": "1h"}},
}


@pytest.mark.parametrize("case", SERVICES)
async def test_what_is_registered_reads_the_same(both: Both, case: str):
    for client in both:
        definition = json.loads(json.dumps(SERVICES[case]).replace("@", client.prefix))
        answer = await client.put(REGISTER, {"Name": client.name("web")} | definition)
        assert (answer.status, answer.text) == (200, "")
    await everything(both, "web")


async def test_instances_are_in_the_order_of_their_ids(both: Both):
    for client in both:
        for port in (3, 1, 2):
            await client.register(client.name("web"), ID=client.name(f"web-{port}"), Port=port, Tags=[f"p{port}"])
    await everything(both, "web")


async def test_a_check_keeps_its_status_over_another_registration(both: Both):
    for client in both:
        await client.register(client.name("web"), Check={"TTL": "1m"})
        await client.put(f"/v1/agent/check/pass/service:{client.name('web')}?note=well")
        await client.register(client.name("web"), Check={"TTL": "1m", "Status": "critical", "Notes": "other"})
    (entry,) = await health(both, "web")
    assert [check["Status"] for check in entry["Checks"]] == ["passing", "passing"]


async def test_checks_stay_unless_they_are_replaced(both: Both):
    for client in both:
        await client.register(client.name("web"), Checks=[{"TTL": "1m"}, {"TTL": "1m"}])
        await client.register(client.name("web"), Port=81)
    await everything(both, "web")
    for client in both:
        body = {"Name": client.name("web"), "Check": {"TTL": "1m"}}
        await client.put(f"{REGISTER}?replace-existing-checks=true", body)
    await everything(both, "web")


async def test_an_id_may_take_another_name(both: Both):
    for client in both:
        await client.register(client.name("old"), ID=client.name("same"))
        await client.register(client.name("new"), ID=client.name("same"))
    await everything(both, "old", "new")


@pytest.mark.parametrize("query", ["enable=true", "enable=1&reason=new%20disk", "enable=t&reason="])
async def test_maintenance_of_a_service(both: Both, query: str):
    for client in both:
        await client.register(client.name("web"), Check={"TTL": "1m", "Status": "passing"})
        await client.put(f"/v1/agent/service/maintenance/{client.name('web')}?{query}")
        again = await client.put(f"/v1/agent/service/maintenance/{client.name('web')}?enable=true&reason=again")
        assert again.status == 200
    await everything(both, "web")
    for client in both:
        await client.put(f"/v1/agent/service/maintenance/{client.name('web')}?enable=false")
    await everything(both, "web")


async def test_a_replacing_registration_ends_maintenance(both: Both):
    for client in both:
        await client.register(client.name("web"))
        await client.put(f"/v1/agent/service/maintenance/{client.name('web')}?enable=true")
        await client.put(f"{REGISTER}?replace-existing-checks=true", {"Name": client.name("web")})
    await everything(both, "web")


async def test_maintenance_of_the_node(both: Both):
    for client in both:
        await client.register(client.name("web"))
    try:
        for client in both:
            await client.put("/v1/agent/maintenance?enable=true&reason=kernel")
        (entry,) = await health(both, "web")
        assert [check["CheckID"] for check in entry["Checks"]] == ["_node_maintenance", "serfHealth"]
        assert await health(both, "web", "passing") == []
    finally:
        for client in both:
            await client.put("/v1/agent/maintenance?enable=false")
    await health(both, "web")


@pytest.mark.parametrize(
    "path",
    ["pass/{}?note=fine", "pass/{}", "warn/{}?note=slow", "fail/{}", "warn/{}?note=" + "long" * 1500],
    ids=["pass with a note", "pass", "warn", "fail", "a note that is cut"],
)
async def test_a_ttl_check_says(both: Both, path: str):
    for client in both:
        await client.register(client.name("web"), Check={"TTL": "1m"})
        answer = await client.put("/v1/agent/check/" + path.format(f"service:{client.name('web')}"))
        assert (answer.status, answer.text) == (200, "")
    await everything(both, "web")


@pytest.mark.parametrize("update", [{"Status": "warning", "Output": "slow"}, {"status": "passing"}])
async def test_a_ttl_check_is_updated(both: Both, update: object):
    for client in both:
        await client.register(client.name("web"), Check={"TTL": "1m", "OutputMaxSize": 3})
        await client.put(f"/v1/agent/check/update/service:{client.name('web')}", update)
    await everything(both, "web")


async def test_a_ttl_that_ran_out(both: Both):
    for client in both:
        await client.register(client.name("web"), Checks=[{"TTL": "200ms"}, {"TTL": "200ms"}])
        await client.put(f"/v1/agent/check/pass/service:{client.name('web')}:1?note=last%20words")

    async def outputs(client: Client) -> list[str]:
        return [check["Output"] for check in (await mine(client, "/v1/agent/checks")).values()]

    async def expired(client: Client) -> None:
        said = ["TTL expired (last output before timeout follows): last words", "TTL expired"]
        await eventually(lambda: outputs(client), said)

    # Asked of the agent: it tells its servers minutes later that an output alone changed, as the second one did.
    for client in both:
        await expired(client)
    await same(both, lambda client: mine(client, "/v1/agent/checks"))


async def test_checks_of_their_own(both: Both):
    for client in both:
        await client.register(client.name("web"))
        for body in (
            {"Name": client.name("ping"), "ServiceID": client.name("web"), "TTL": "1m"},
            {"Name": "with an ID", "id": client.name("b"), "service_id": client.name("web"), "TTL": "1m", "Notes": "n"},
        ):
            assert (await client.put("/v1/agent/check/register", body)).status == 200
    await everything(both, "web")
    for client in both:
        await client.put(f"/v1/agent/check/deregister/{client.name('b')}")
    await everything(both, "web")


async def test_a_service_is_gone_with_its_checks(both: Both):
    for client in both:
        await client.register(client.name("web"), Check={"TTL": "1m"})
        await client.put(f"/v1/agent/service/maintenance/{client.name('web')}?enable=true")
        assert (await client.put(f"/v1/agent/service/deregister/{client.name('web')}")).status == 200
    await everything(both, "web")


@pytest.mark.parametrize("name", ["a/b", "a b", "ümläut", "a+b", "100%"])
async def test_unusual_ids(both: Both, name: str):
    for client in both:
        await client.register(client.name(name))
    await same(both, lambda client: mine(client, "/v1/agent/services"))
    await health(both, name)
    for client in both:
        await client.put(f"/v1/agent/service/deregister/{quote(client.name(name), safe='')}")
        assert await mine(client, "/v1/agent/services") == {}


async def test_one_service_of_the_agent(both: Both):
    for client in both:
        await client.register(client.name("web"), Tags=["x"], Meta={"a": "b"})

    async def ask(client: Client) -> Any:
        answer = (await client.get(f"/v1/agent/service/{client.name('web')}")).json
        answer.pop("ContentHash", None)  # for blocking on it, which the embedded registry has not
        return answer

    await same(both, ask)


READS = [
    "health/service/{}?passing=false", "health/service/{}?passing=maybe", "health/service/{}?passing",
    "health/service/{}?passing=1", "health/service/{}?tag=a", "health/service/{}?tag=A&tag=b",
    "health/service/{}?tag=a&tag=c", "health/service/{}?tag=", "health/service/{}?index=x",
    "health/service/{}?index=-1", "health/service/{}?index=18446744073709551616", "health/service/{}?index=",
    "health/service/{}?wait=5", "health/service/{}?wait=x", "health/service/{}?wait=-1s", "health/service/{}?wait=1d",
    "health/service/{}?dc=dc1", "health/service/{}?dc=dc2", "health/service/{}?ns=team", "health/service/{}?stale",
    "health/service/{}?near=_agent", "health/service/{}?token=t", "health/service/{}?stale&consistent",
    "health/service/{}?cached&consistent", "health/service/{}/more", "health/service/%ff", "health/service/",
    "catalog/service/{}?tag=a", "catalog/service/{}?tag=c", "catalog/service/", "catalog/services?dc=dc2",
    "status/leader?dc=dc2", "health/state/", "health/state/any?dc=dc2", "health/state/any?index=x",
    "agent/service/nobody", "agent/service/", "nothing", "health/services",
]  # fmt: skip


@pytest.mark.parametrize("path", READS)
async def test_reads_answer_the_same(both: Both, path: str):
    for client in both:
        await client.register(client.name("web"), Tags=["a", "b"], Check={"TTL": "1m", "Status": "warning"})

    async def ask(client: Client) -> Any:
        answer = await client.get(f"/v1/{path.format(client.name('web'))}")
        kind = answer.headers.get("Content-Type", "")
        return answer.status, kind, answer.json if kind == "application/json" else answer.text

    await same(both, ask)


WRITES = [
    ("service/deregister/nobody", None), ("service/deregister/", None),
    ("service/maintenance/nobody?enable=true", None),
    ("service/maintenance/?enable=true", None), ("service/maintenance/nobody", None),
    ("service/maintenance/nobody?enable=maybe", None), ("service/maintenance/nobody?enable=", None),
    ("maintenance", None), ("maintenance?enable=2", None), ("check/pass/nobody", None), ("check/warn/nobody", None),
    ("check/fail/", None), ("check/update/nobody", {"Status": "passing"}), ("check/update/nobody", {"Status": "good"}),
    ("check/update/nobody", {}), ("check/deregister/nobody", None), ("check/deregister/", None),
    ("check/register", {"TTL": "1m"}), ("check/register", {"Name": "x", "ServiceID": "nobody", "TTL": "1m"}),
    ("service/register", {}), ("service/register", {"Name": ""}), ("service/register", {"ID": "x"}),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body"), WRITES)
async def test_refusals_are_the_same(both: Both, path: str, body: object):
    async def ask(client: Client) -> Any:
        answer = await client.put(f"/v1/agent/{path}", body)
        return answer.status, answer.headers.get("Content-Type"), answer.text

    real, embedded = both
    expected = await ask(real)
    found = await ask(embedded)
    if expected[0] == 200:  # Consul leaves out the type of an answer without content, and aiohttp has one
        assert (found[0], found[2]) == (expected[0], expected[2])
    else:
        assert found == expected


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "agent/service/register"), ("GET", "agent/check/pass/x"), ("PUT", "health/service/web"),
     ("DELETE", "catalog/services"), ("POST", "agent/services")],
)  # fmt: skip
async def test_a_wrong_method(both: Both, method: str, path: str):
    answers = [await client.call(method, f"/v1/{path}") for client in both]
    assert [(answer.status, answer.text, answer.headers["Allow"]) for answer in answers] == [
        (405, f"method {method} not allowed", answers[0].headers["Allow"])
    ] * 2


async def test_a_probed_check_takes_no_report(both: Both):
    for client in both:
        await client.register(client.name("web"), Check={"TCP": "127.0.0.1:1", "Interval": "1h"})

    async def ask(client: Client) -> Any:
        answer = await client.put(f"/v1/agent/check/pass/service:{client.name('web')}")
        return answer.status, answer.text

    assert (await same(both, ask))[0] == 500


async def test_the_headers_of_a_read(both: Both):
    for client in both:
        headers = (await client.health(client.name("web"))).headers
        assert headers["X-Consul-KnownLeader"] == "true"
        assert headers["X-Consul-LastContact"] == "0"
        assert int(headers["X-Consul-Index"]) >= 1
