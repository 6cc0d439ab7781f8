"""The modules that are built: what a request passes through, and what their classes are made of.

They are built as one, since only then do they know each other's classes; so they are loaded all together or not at all.
What holds for their sources beyond `mypy --strict` is in docs/compiled.md.
"""

from __future__ import annotations

MODULES = (
    "balancers.endpoint",
    "balancers.health",
    "balancers.pool",
    "balancers.random",
    "balancers.round_robin",
    "balancers.weighted_random",
    "balancers.weighted_round_robin",
    "proxy.access_log.formats",
    "proxy.access_log.json_lines",
    "proxy.access_log.placeholders",
    "proxy.access_log.record",
    "proxy.access_log.redaction",
    "proxy.access_log.values",
    "proxy.counters",
    "proxy.edge.admission",
    "proxy.edge.ruled_origin",
    "proxy.http.bodies",
    "proxy.http.client",
    "proxy.http.connections",
    "proxy.http.copies",
    "proxy.http.copy",
    "proxy.http.dispatch",
    "proxy.http.downstream",
    "proxy.http.exchange",
    "proxy.http.fields",
    "proxy.http.forwarding",
    "proxy.http.heads",
    "proxy.http.hedge",
    "proxy.http.marks",
    "proxy.http.pipe",
    "proxy.http.places",
    "proxy.http.recurring",
    "proxy.http.retries",
    "proxy.http.splice",
    "proxy.http.start_lines",
    "proxy.http.terms",
    "proxy.http.tunnel",
    "proxy.http.upstream",
    "proxy.http.websocket",
    "proxy.http.writing",
    "proxy.listener",
    "proxy.listening",
    "proxy.path_index",
    "proxy.paths",
    "proxy.routes",
    "proxy.service",
)
PACKAGES = ("balancers", "compiled", "config", "discovery", "proxy")  # that they, and what they import, are in
GROUP = "pointsman_hot"  # the library that holds them all; each module's own file only points there
LIBRARY = f"{GROUP}__mypyc"
