"""The catalog in Consul's JSON, key by key as Consul 1.8 writes it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from discovery.embedded.catalog import Check

if TYPE_CHECKING:
    from discovery.embedded.catalog import Catalog, Service
    from discovery.embedded.definition import ServiceDefinition

Json = dict[str, Any]

DATACENTER = "dc1"
API_VERSION = "1.8.7"  # the Consul whose answers these are
_NODE_META = {"consul-network-segment": ""}
_NO_MESH: Json = {"MeshGateway": {}, "Expose": {}}

ALIVE = Check(
    id="serfHealth",
    name="Serf Health Status",
    notes="",
    service_id="",
    kind="",
    definition=None,
    status="passing",
    output="Agent alive and reachable",
    create_index=1,
    modify_index=1,
)
"""The check by which Consul's gossip says that the node is alive: who reads this knows that it is."""


@dataclass(frozen=True, slots=True)
class Node:
    """The one node, which all services are on."""

    id: str
    name: str
    address: str
    port: int


def checks_of(catalog: Catalog, service: Service) -> list[Check]:
    """Return all checks that decide the status of an instance: the node's, then its own."""
    node_checks = sorted([ALIVE, *catalog.checks_of("")], key=lambda check: check.id)
    return node_checks + catalog.checks_of(service.id)


def health_entry(node: Node, service: Service, checks: list[Check]) -> Json:
    """Render an instance for /v1/health/service."""
    definition = service.definition
    rendered = {
        "ID": service.id,
        "Service": service.name,
        "Tags": list(definition.tags),
        "Address": definition.address,
        **_tagged_addresses(definition, "TaggedAddresses"),
        "Meta": definition.meta or None,
        "Port": definition.port,
        "Weights": _weights(definition),
        "EnableTagOverride": definition.enable_tag_override,
        "Proxy": _NO_MESH,
        "Connect": {},
        "CreateIndex": service.create_index,
        "ModifyIndex": service.modify_index,
    }
    return {
        "Node": {
            **_node(node),
            "Meta": _NODE_META,
            "CreateIndex": 1,
            "ModifyIndex": 1,
        },
        "Service": rendered,
        "Checks": [indexed_check(node, check, service if check.service_id else None) for check in checks],
    }


def catalog_entry(node: Node, service: Service) -> Json:
    """Render an instance for /v1/catalog/service."""
    definition = service.definition
    return {
        **_node(node),
        "NodeMeta": _NODE_META,
        "ServiceKind": "",
        "ServiceID": service.id,
        "ServiceName": service.name,
        "ServiceTags": list(definition.tags),
        "ServiceAddress": definition.address,
        **_tagged_addresses(definition, "ServiceTaggedAddresses"),
        "ServiceWeights": _weights(definition),
        "ServiceMeta": definition.meta,
        "ServicePort": definition.port,
        "ServiceEnableTagOverride": definition.enable_tag_override,
        "ServiceProxy": _NO_MESH,
        "ServiceConnect": {},
        "CreateIndex": service.create_index,
        "ModifyIndex": service.modify_index,
    }


def agent_service(service: Service) -> Json:
    """Render an instance for /v1/agent/services."""
    definition = service.definition
    return {
        "ID": service.id,
        "Service": service.name,
        "Tags": list(definition.tags),
        "Meta": definition.meta,
        "Port": definition.port,
        "Address": definition.address,
        **_tagged_addresses(definition, "TaggedAddresses"),
        "Weights": _weights(definition),
        "EnableTagOverride": definition.enable_tag_override,
    }


def check_entry(node: Node, check: Check, service: Service | None) -> Json:
    """Render a check as /v1/agent/checks has it; `service` is None for a check of the node."""
    return {
        "Node": node.name,
        "CheckID": check.id,
        "Name": check.name,
        "Status": check.status,
        "Notes": check.notes,
        "Output": check.output,
        "ServiceID": check.service_id,
        "ServiceName": service.name if service is not None else "",
        "ServiceTags": list(service.definition.tags) if service is not None else [],
        "Type": check.kind,
        "Definition": {},
        "CreateIndex": 0,
        "ModifyIndex": 0,
    }


def indexed_check(node: Node, check: Check, service: Service | None) -> Json:
    """Render a check as the answers about health have it."""
    return check_entry(node, check, service) | {"CreateIndex": check.create_index, "ModifyIndex": check.modify_index}


def agent_self(node: Node) -> Json:
    """Render what clients ask an agent of itself; the revision tells that it is none of Consul's."""
    return {
        "Config": {
            "Datacenter": DATACENTER,
            "NodeName": node.name,
            "NodeID": node.id,
            "Revision": "pointsman",
            "Server": True,
            "Version": API_VERSION,
        },
        "Member": {"Name": node.name, "Addr": node.address, "Port": node.port, "Tags": {"dc": DATACENTER}, "Status": 1},
        "Meta": _NODE_META,
    }


def _node(node: Node) -> Json:
    kinds = ("lan", "lan_ipv4", "wan", "wan_ipv4")
    if _ip_version(node.address) != 4:
        kinds = ("lan", "lan_ipv6", "wan", "wan_ipv6")
    return {
        "ID": node.id,
        "Node": node.name,
        "Address": node.address,
        "Datacenter": DATACENTER,
        "TaggedAddresses": dict.fromkeys(kinds, node.address),
    }


def _weights(definition: ServiceDefinition) -> Json:
    return {"Passing": definition.weights.passing, "Warning": definition.weights.warning}


def _tagged_addresses(definition: ServiceDefinition, key: str) -> Json:
    """Render the addresses by use, or nothing; Consul files an IP address under its version by itself."""
    tagged = {name: {"Address": to.address, "Port": to.port} for name, to in definition.tagged_addresses.items()}
    version = _ip_version(definition.address)
    if version:
        for name in (f"lan_ipv{version}", f"wan_ipv{version}"):
            tagged.setdefault(name, {"Address": definition.address, "Port": definition.port})
    return {key: tagged} if tagged else {}


def _ip_version(address: str) -> int | None:
    try:
        return ipaddress.ip_address(address).version
    except ValueError:
        return None
