"""The services of a namespace, by the labels of its EndpointSlices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from config.units import show
from discovery.catalog import Listed
from discovery.instance import first_line
from discovery.kubernetes.access import KubernetesError
from discovery.kubernetes.slices import SLICE_LIMIT, Pages

if TYPE_CHECKING:
    from discovery.kubernetes.api import ApiServer

LABEL = "kubernetes.io/service-name"


async def list_services(api: ApiServer, path: str) -> tuple[Listed, ...]:
    """List the services whose slices are at `path`, each with how many addresses it has. Raises KubernetesError.

    Addresses are counted as `family: auto` has it: those of IPv4, or those of IPv6 if there are no others.
    """
    addresses: dict[str, dict[str, set[str]]] = {}
    pages, count = Pages(LABEL), 0
    while pages.has_more:
        for entry in pages.read(await api.ask(path, pages.question())):
            count += 1
            if count > SLICE_LIMIT:
                raise KubernetesError(f"there are more than {SLICE_LIMIT} slices in the namespace")
            family = str(entry.get("addressType"))
            addresses.setdefault(_service(entry), {}).setdefault(family, set()).update(_addresses(entry))
    return tuple(
        Listed(name, len(found.get("IPv4") or found.get("IPv6") or ())) for name, found in sorted(addresses.items())
    )


def _service(entry: dict[str, Any]) -> str:
    metadata = entry.get("metadata")
    labels = metadata.get("labels") if isinstance(metadata, dict) else None
    name = labels.get(LABEL) if isinstance(labels, dict) else None
    if not isinstance(name, str) or not name:
        raise KubernetesError(f"the label {LABEL} must be a name, not {show(name)}; is this Kubernetes?")
    return first_line(name)


def _addresses(entry: dict[str, Any]) -> set[str]:
    endpoints = entry.get("endpoints")
    lists = [one.get("addresses") for one in endpoints if isinstance(one, dict)] if isinstance(endpoints, list) else []
    return {one[0] for one in lists if isinstance(one, list) and one and isinstance(one[0], str)}
