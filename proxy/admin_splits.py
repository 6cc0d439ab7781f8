"""The part of the admin API that is about splits: what they share out, and their weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proxy import web
from proxy.admin_endpoints import from_a_page, parsed
from proxy.splits import works

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from proxy.splits import Split


class Splits:
    """Shows splits and changes their weights; `record` is the journal's."""

    def __init__(self, splits: Mapping[str, Split], record: Callable[[str, str, str, str], None]) -> None:
        self._splits = splits
        self._record = record

    def routes(self) -> list[web.Route]:
        """Return what is answered where."""
        one = "/api/v1/splits/{name}"
        return [
            web.route("GET", "/api/v1/splits", self._list),
            web.route("GET", one, self._get),
            web.route("PATCH", one, self._reweigh),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        return web.json_response({"splits": [_shown(split) for split in self._splits.values()]})

    async def _get(self, request: web.Request) -> web.Response:
        split = self._splits.get(request.match_info["name"])
        return web.json_response(_shown(split)) if split is not None else self._unknown(request)

    async def _reweigh(self, request: web.Request) -> web.Response:
        """Take new weights: `{"services": {"web": 50, "canary": 50}}`; one that is left out stays as it is."""
        split = self._splits.get(request.match_info["name"])
        if split is None:
            return self._unknown(request)
        if from_a_page(request):
            return web.json_response({"error": "pages of a browser may not do this"}, status=403)
        try:
            body = parsed(request.text())
            weights = body.get("services") if isinstance(body, dict) and body.keys() == {"services"} else None
            if not isinstance(weights, dict) or not weights:
                raise ValueError('the body must be {"services": {NAME: WEIGHT, …}}')
            split.reweigh(weights)
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)
        text = ", ".join(f"{name} {weight}" for name, weight in weights.items())
        self._record(f"split:{split.name}", "reweighed", "", f"its weights were set: {text}")
        return web.json_response(_shown(split))

    def _unknown(self, request: web.Request) -> web.Response:
        return web.json_response({"error": f"there is no split {request.match_info['name']!r}"}, status=404)


def _shown(split: Split) -> dict[str, Any]:
    total = sum(split.weights.values())
    return {
        "name": split.name,
        "services": dict(split.weights),
        "shares": {name: round(weight / total, 6) for name, weight in split.weights.items()},
        "requests": dict(split.requests),
        "healthy": {name: works(service) for name, service in split.services.items()},
        "sticky": bool(split.cookies),
        "fall_over": split.fall_over,
    }
