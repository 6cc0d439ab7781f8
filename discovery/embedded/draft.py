"""Decide what operations change, on top of a catalog, before any of it is durable or visible."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from discovery.embedded.catalog import Check, Service
from discovery.embedded.definition import STATUSES, cut
from discovery.embedded.refusal import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from discovery.embedded.catalog import Catalog
    from discovery.embedded.definition import (
        CheckDefinition,
        CheckRegistration,
        CheckUpdate,
        ServiceRegistration,
        Status,
    )

MOST_SERVICES = 100_000
MOST_CHECKS = 200_000

NODE_MAINTENANCE = "_node_maintenance"
SERVICE_MAINTENANCE = "_service_maintenance:"
_NO_REASON = "Maintenance mode is enabled for this {}, but no reason was provided. This is a default message."


class Draft:
    """The changes that a batch of operations makes, each operation seeing those before it.

    An operation either refuses, with RefusedError and nothing changed, or is done whole. `services` and `checks` hold
    what is to be put, by ID, and None for what is to go. `now` is the moment of the process's clock that all of the
    batch happens at, and `index` the one that it becomes visible at.
    """

    def __init__(self, catalog: Catalog, now: float) -> None:
        self._catalog = catalog
        self._now = now
        self.index = catalog.index + 1
        self.services: dict[str, Service | None] = {}
        self.checks: dict[str, Check | None] = {}

    def service(self, service_id: str) -> Service | None:
        if service_id in self.services:
            return self.services[service_id]
        return self._catalog.services.get(service_id)

    def check(self, check_id: str) -> Check | None:
        if check_id in self.checks:
            return self.checks[check_id]
        return self._catalog.checks.get(check_id)

    def lasting(self) -> tuple[dict[str, Service | None], dict[str, Check | None]]:
        """Return the services and the checks that have to be written, and whose change is told to those who wait.

        Left out are checks of which only a moment or the output is another, and what came and went within the batch.
        """
        services = {
            service_id: service
            for service_id, service in self.services.items()
            if service is not None or service_id in self._catalog.services
        }
        checks: dict[str, Check | None] = {}
        for check_id, check in self.checks.items():
            before = self._catalog.checks.get(check_id)
            unchanged = check is before is None or (check and before and check.same_as(before))
            if not unchanged:
                checks[check_id] = check
        return services, checks

    def register(self, registration: ServiceRegistration, replace_checks: bool) -> None:
        """Put a service and its checks; `replace_checks` takes away its other ones."""
        if not registration.name:
            raise RefusedError(400, "Missing service name")
        definition = registration.definition()
        checks = registration.named_checks()
        self._room_for(definition.id, checks)
        before = self.service(definition.id)
        if before is None or before.definition != definition:
            created = self.index if before is None else before.create_index
            self.services[definition.id] = Service(definition, created, self.index)
        for check_id, check in checks.items():
            self._put_check(check_id, check, check.name or f"Service '{definition.name}' check", definition.id)
        if replace_checks:
            for check_id in self._check_ids_of(definition.id) - checks.keys():
                self.checks[check_id] = None

    def deregister(self, service_id: str) -> bool:
        """Take away a service with its checks, and return whether it was there."""
        if self.service(service_id) is None:
            return False
        self.services[service_id] = None
        for check_id in self._check_ids_of(service_id):
            self.checks[check_id] = None
        return True

    def register_check(self, registration: CheckRegistration) -> None:
        if not registration.name:
            raise RefusedError(400, "Missing check name")
        if registration.service_id and self.service(registration.service_id) is None:
            raise RefusedError(500, f'ServiceID "{registration.service_id}" does not exist')
        definition = registration.definition()
        check_id = registration.check_id or registration.name
        self._room_for(registration.service_id, {check_id: definition})
        self._put_check(check_id, definition, registration.name, registration.service_id)

    def deregister_check(self, check_id: str) -> None:
        if self.check(check_id) is not None:
            self.checks[check_id] = None

    def set_service_maintenance(self, service_id: str, enable: bool, reason: str) -> None:
        if self.service(service_id) is None:
            raise RefusedError(404, f'No service registered with ID "{service_id}"')
        check_id = f"{SERVICE_MAINTENANCE}{service_id}"
        self._set_maintenance(check_id, "service", "Service Maintenance Mode", service_id, enable, reason)

    def set_node_maintenance(self, enable: bool, reason: str) -> None:
        self._set_maintenance(NODE_MAINTENANCE, "node", "Node Maintenance Mode", "", enable, reason)

    def report(self, check_id: str, update: CheckUpdate) -> None:
        """Take what a service says of its TTL check, which renews it."""
        status = STATUSES.get(update.status)
        if status is None:
            raise RefusedError(400, f"Invalid check status: '{update.status[:64]}'")
        check = self.check(check_id)
        if check is None or check.definition is None or check.kind != "ttl":
            raise RefusedError(500, f'CheckID "{check_id}" does not have associated TTL')
        self._found(replace(check, expires=self._now + check.definition.ttl_seconds), status, update.output)

    def observe(self, check_id: str, probed: CheckDefinition, status: Status, output: str) -> None:
        """Take what a probe found, unless the check is gone or another one by now."""
        check = self.check(check_id)
        if check is not None and check.definition == probed:
            self._found(check, status, output)

    def expire(self, check_ids: Iterable[str]) -> list[str]:
        """Do what the passing of time does to these checks, and return the services it deregistered, with the reason.

        A TTL that ran out makes its check critical; a check that was critical for too long ends its service.
        """
        gone = []
        for check_id in check_ids:
            check = self.check(check_id)
            if check is None:
                continue
            if check.reap_at <= self._now:
                if not self.deregister(check.service_id):
                    self.checks[check_id] = None
                gone.append(f"{check.service_id}: its check {check.id} was critical for too long: {check.output}")
            elif check.expires <= self._now:
                last = f" (last output before timeout follows): {check.output}" if check.output else ""
                self._found(replace(check, expires=math.inf), "critical", f"TTL expired{last}")
        return gone

    def _found(self, check: Check, status: Status, output: str) -> None:
        limit = check.definition.output_limit if check.definition is not None else 0
        critical_since = None
        if status == "critical":
            critical_since = self._now if check.critical_since is None else check.critical_since
        self.checks[check.id] = replace(
            check,
            status=status,
            output=cut(output, limit),
            critical_since=critical_since,
            modify_index=check.modify_index if status == check.status else self.index,
        )

    def _put_check(self, check_id: str, definition: CheckDefinition, name: str, service_id: str) -> None:
        """Put a check that may be there already: then its status and output stay, as in Consul."""
        before = self.check(check_id)
        status = before.status if before is not None else definition.status or "critical"
        critical_since = before.critical_since if before is not None else None
        check = Check(
            id=check_id,
            name=name,
            notes=definition.notes,
            service_id=service_id,
            kind=definition.kind,
            definition=definition,
            status=status,
            output=before.output if before is not None else "",
            create_index=before.create_index if before is not None else self.index,
            modify_index=self.index,
            expires=self._now + definition.ttl_seconds if definition.kind == "ttl" else math.inf,
            critical_since=(self._now if critical_since is None else critical_since) if status == "critical" else None,
        )
        if before is not None and check.same_as(before):
            check = replace(check, modify_index=before.modify_index)
        self.checks[check_id] = check

    def _set_maintenance(self, check_id: str, what: str, name: str, service_id: str, enable: bool, reason: str) -> None:
        before = self.check(check_id)
        if not enable and before is not None:
            self.checks[check_id] = None
        elif enable and before is None:
            notes = cut(reason) or _NO_REASON.format(what)
            self.checks[check_id] = Check(
                check_id, name, notes, service_id, "maintenance", None, "critical", "", self.index, self.index
            )

    def _check_ids_of(self, service_id: str) -> set[str]:
        ids = {check.id for check in self._catalog.checks_of(service_id) if check.id not in self.checks}
        return ids | {
            check.id for check in self.checks.values() if check is not None and check.service_id == service_id
        }

    def _room_for(self, service_id: str, checks: Iterable[str]) -> None:
        """Count generously: a batch that takes away and puts at the limit may be refused what would just fit."""
        put_services = sum(1 for service in self.services.values() if service is not None)
        put_checks = sum(1 for check in self.checks.values() if check is not None)
        new_service = service_id != "" and self.service(service_id) is None
        if new_service and len(self._catalog.services) + put_services >= MOST_SERVICES:
            raise RefusedError(503, f"The registry is full: it holds {MOST_SERVICES} services")
        new_checks = sum(1 for check_id in checks if self.check(check_id) is None)
        if new_checks and len(self._catalog.checks) + put_checks + new_checks > MOST_CHECKS:
            raise RefusedError(503, f"The registry is full: it holds {MOST_CHECKS} checks")
