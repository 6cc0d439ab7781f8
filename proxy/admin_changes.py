"""The part of the admin API that changes the whole: reload and drain, and which configuration is at work."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from proxy import web
from proxy.admin_endpoints import from_a_page
from proxy.reloading import REFUSED

if TYPE_CHECKING:
    from proxy.application import Application
    from proxy.reloading import Outcome


class Changes:
    """Reloads and drains an application, and shows its configuration's state."""

    def __init__(self, application: Application) -> None:
        self._application = application

    def routes(self) -> list[web.Route]:
        """Return what is answered where."""
        return [
            web.route("POST", "/-/reload", self._reload),
            web.route("POST", "/-/drain", self._drain),
            web.route("GET", "/api/v1/config", self._config),
        ]

    async def _reload(self, request: web.Request) -> web.Response:
        """Take the file into force; 200 with what has changed, or 4xx and 5xx with all that is wrong."""
        if from_a_page(request):
            return web.json_response({"error": "pages of a browser may not do this"}, status=403)
        outcome = await self._application.reloader.reload("POST /-/reload")
        return web.json_response(_shown(outcome), status=outcome.status)

    async def _drain(self, request: web.Request) -> web.Response:
        """Begin what SIGTERM begins; asked again, it goes on as it does."""
        if from_a_page(request):
            return web.json_response({"error": "pages of a browser may not do this"}, status=403)
        application = self._application
        if not application.ending:
            application.end()
        in_flight = sum(service.traffic.in_flight for service in application.services.values())
        return web.json_response({"status": "draining", "in_flight": in_flight})

    async def _config(self, request: web.Request) -> web.Response:
        reloader = self._application.reloader
        return web.json_response(
            {
                "file": str(reloader.file.path) if reloader.file else None,
                "hash": reloader.loaded.text_hash if reloader.loaded else None,
                "since": _timestamp(reloader.since),
                "watched": reloader.file is not None and self._application.config.reload.watch,
                "reloads": dict(reloader.counts),
                "last_reload": _shown(reloader.last) if reloader.last else None,
            }
        )


def _shown(outcome: Outcome) -> dict[str, Any]:
    return {
        "result": outcome.result,
        "why": outcome.why,
        "time": _timestamp(outcome.time),
        "changed": list(outcome.changed),
        **({"error": "\n".join(outcome.errors), "errors": list(outcome.errors)} if outcome.result == REFUSED else {}),
    }


def _timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
