"""The provider's side of Consul: a service of the agent with a TTL check, which is told again and again that it passes.

An agent whose check is not told for the TTL calls it critical: nobody is sent there any more. The agent drops the
service itself when the check has been critical for `deregister_after`, of which Consul has a minimum of one minute.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from discovery.consul.agent import Agent, Answer
from discovery.registrar import LeaseLostError
from discovery.registry import RegistryError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from discovery.instance import Instance

RIGHT = "service:write"
# How an agent says that it has no such check: Consul up to 1.9 and the embedded registry, and later versions of Consul.
_NO_CHECK = ("does not have associated TTL", "Unknown check")
_NO_SERVICE = ("Unknown service", "unknown service")


class ConsulRegistrar:
    """The agent at `address` (`http://127.0.0.1:8500`), which should be the one of the instance's own machine.

    `token`, or the content of `token_file`, is the ACL token, which needs `service:write`. `ttl` and `deregister_after`
    are seconds. The embedded registry is such an agent too.
    """

    def __init__(
        self,
        address: str,
        *,
        token: str = "",
        token_file: Path | None = None,
        ttl: float = 15.0,
        deregister_after: float = 60.0,
    ) -> None:
        self._agent = Agent(address, token, token_file)
        self._ttl = ttl
        self._deregister_after = deregister_after

    async def register(self, service: str, instance: Instance) -> ConsulLease:
        """Register the instance, and tell that it passes."""
        query = {"replace-existing-checks": "true"}  # what an earlier life of it registered counts no more
        body = self._definition(service, instance)
        answer = await self._agent.ask("PUT", "/v1/agent/service/register", body, query)
        if answer.status != 200:
            raise self._agent.refused(answer, RIGHT)
        lease = ConsulLease(self._agent, instance.id, self._ttl / 3)
        try:
            # A check that was there already keeps its status, and this one may have been critical.
            await lease.renew()
        except LeaseLostError as error:
            raise RegistryError(f"{self._agent}: it was registered, and is gone again: {error}") from error
        return lease

    async def own_address(self) -> str:
        """Return the address that the agent tells others it is reached at."""
        return await self._agent.own_address()

    def _definition(self, service: str, instance: Instance) -> dict[str, Any]:
        metadata = dict(instance.metadata)
        if instance.zone:
            metadata["zone"] = instance.zone
        return {
            "ID": instance.id,
            "Name": service,
            "Address": instance.address,
            "Port": instance.port,
            "Tags": list(instance.tags),
            "Meta": metadata,
            "Weights": {"Passing": instance.weight, "Warning": 1},
            "Check": {
                "CheckID": _check_id(instance.id),
                "Name": "kept by pointsman",
                "TTL": f"{self._ttl:g}s",
                "Status": "passing",
                "DeregisterCriticalServiceAfter": f"{self._deregister_after:g}s",
            },
        }


class ConsulLease:
    """A service of the agent, whose TTL check must pass again every `interval` seconds."""

    def __init__(self, agent: Agent, service_id: str, interval: float) -> None:
        self.interval = interval
        self._agent = agent
        self._id = service_id

    async def renew(self) -> None:
        """Tell that the check passes."""
        path = f"/v1/agent/check/pass/{quote(_check_id(self._id), safe='')}"
        answer = await self._agent.ask("PUT", path)
        if answer.status == 200:
            return
        if answer.status == 404 or _says(answer, _NO_CHECK):
            raise LeaseLostError(f"{self._agent} does not know {self._id} any more")
        raise self._agent.refused(answer, RIGHT)

    async def revoke(self) -> None:
        """Deregister the service."""
        answer = await self._agent.ask("PUT", f"/v1/agent/service/deregister/{quote(self._id, safe='')}")
        if answer.status != 200 and answer.status != 404 and not _says(answer, _NO_SERVICE):
            raise self._agent.refused(answer, RIGHT)

    async def release(self) -> None:
        """Leave the service to who renews its check from now on."""


def _check_id(service_id: str) -> str:
    return f"service:{service_id}"  # what Consul itself calls the only check of a service


def _says(answer: Answer, words: tuple[str, ...]) -> bool:
    return any(word in answer.complaint for word in words)
