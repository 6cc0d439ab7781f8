"""Services in Kubernetes: their EndpointSlices, of whose changes the API server tells at once.

The slices are listed, and watched from that version on, so that no change falls between. The API server ends a watch
after WATCH seconds, and the next one goes on where it ended; one that has not ended by then is dead. When the server no
longer remembers where that was, which it says by a status or within the stream, the slices are listed anew.

How a slice is read is the concern of entries; what is used of them, of choice; what is asked, and what follows from the
answers, of slices; HTTP and JSON of api; where the server is, and who we are, of access and kubeconfig.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import re
from contextlib import aclosing
from typing import TYPE_CHECKING
from urllib.parse import quote

from config.units import show
from discovery.kubernetes.access import SERVICE_ACCOUNT, KubernetesError, in_cluster
from discovery.kubernetes.api import ApiServer, GoneError
from discovery.kubernetes.kubeconfig import read_kubeconfig
from discovery.kubernetes.listing import list_services
from discovery.kubernetes.slices import Slices
from discovery.news import News
from discovery.pace import PACE
from discovery.rate import TokenBucket
from discovery.registry import RegistryError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping
    from pathlib import Path

    from discovery.catalog import Listed
    from discovery.instance import Snapshot
    from discovery.kubernetes.access import Access

TIMEOUT = 5.0  # seconds
WATCH = 60  # seconds after which the API server is to end a watch; a sign of life
SLACK = 10.0  # seconds that it may take beyond that
SHORTEST = 1.0  # seconds; a watch that ends before, with nothing said, is no good one (kubernetes/kubernetes#104171)
BATCH = 100  # events that are read at a stretch
EXPIRIES = 5  # lists in a row that are out of date before they can be watched; then something is wrong
# Lists and watches that are begun a second, and so many at once: nothing that a server says makes us ask without end.
RATE, BURST = 0.5, 5

ZONE_LABEL = "topology.kubernetes.io/zone"
_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")  # RFC 1123, as Kubernetes has it


class KubernetesRegistry:
    """The services in the Kubernetes cluster that we run in, or that a context of `kubeconfig` names.

    `namespace` is by default the pod's, or the context's. `port` is the name or the number of the port to use, by
    default the only one. `family` is `auto`, `ipv4` or `ipv6`. `zone` is ours, for the hints to be followed; `auto`
    asks for that of the node which the environment variable NODE_NAME names. `timeout` is how many seconds an answer
    may take. `environ` and `service_account` are what a pod is given to find its API server.
    """

    def __init__(
        self,
        *,
        namespace: str = "",
        port: str | int | None = None,
        kubeconfig: Path | None = None,
        context: str = "",
        family: str = "auto",
        zone: str = "",
        timeout: float = TIMEOUT,
        watch: int = WATCH,
        slack: float = SLACK,
        environ: Mapping[str, str] | None = None,
        service_account: Path = SERVICE_ACCOUNT,
    ) -> None:
        self._namespace = namespace
        self._port = port
        self._kubeconfig = kubeconfig
        self._context = context
        self._family = family
        self._zone = zone
        self._timeout = timeout
        self._watch = watch
        self._slack = slack
        self._environ = os.environ if environ is None else environ
        self._service_account = service_account

    async def watch(self, service: str) -> AsyncIterator[Snapshot]:
        """Yield a snapshot at each change, but no more than twenty a second, and at each sign of life."""
        if not _LABEL.fullmatch(service):
            raise RegistryError(f"a service in Kubernetes has a name of a-z, 0-9 and '-', not {show(service)}")
        where = "Kubernetes"
        try:
            async with ApiServer(self._access, self._timeout) as api:
                where = f"Kubernetes at {api.access.server}"
                async with aclosing(self._follow(api, service)) as snapshots:
                    async for snapshot in snapshots:
                        yield snapshot
        except KubernetesError as error:
            raise RegistryError(f"{where}: {error}") from error

    async def services(self, below: str) -> tuple[Listed, ...]:
        """List the services of the namespace. Raises RegistryError."""
        try:
            async with ApiServer(self._access, self._timeout) as api:
                return await list_services(api, self._path(api))
        except KubernetesError as error:
            raise RegistryError(f"Kubernetes: {error}") from error

    def _path(self, api: ApiServer) -> str:
        namespace = self._namespace or api.access.namespace
        return f"/apis/discovery.k8s.io/v1/namespaces/{quote(namespace, safe='')}/endpointslices"

    async def _access(self) -> Access:
        if self._kubeconfig is not None:
            return await read_kubeconfig(self._kubeconfig, self._context)
        return await asyncio.to_thread(in_cluster, self._environ, self._service_account)

    async def _follow(self, api: ApiServer, service: str) -> AsyncGenerator[Snapshot, None]:
        path = self._path(api)
        zone = await self._find_zone(api)
        bucket = TokenBucket(RATE, BURST)
        expiries = 0
        while True:
            slices = Slices(service, port=self._port, family=self._family, zone=zone)
            await asyncio.sleep(bucket.take(asyncio.get_running_loop().time()))
            try:
                while slices.listed(await api.ask(path, slices.list_question())):
                    pass
                # What happened before the list was made, nobody told us.
                yield slices.snapshot(continuous=False)
                async with aclosing(self._moments(api, path, slices, bucket)) as moments:
                    async for arrived in moments:
                        expiries = 0
                        yield dataclasses.replace(slices.snapshot(continuous=True), arrived=arrived)
            except GoneError as error:
                expiries += 1
                if expiries == EXPIRIES:
                    raise KubernetesError(f"{expiries} lists in a row were out of date at once: {error}") from error

    async def _moments(
        self, api: ApiServer, path: str, slices: Slices, bucket: TokenBucket
    ) -> AsyncGenerator[float, None]:
        """Keep the slices as the API server has them; yield when there is a snapshot to make, with its news' time."""
        news = News()
        task = asyncio.create_task(self._receive(api, path, slices, bucket, news))
        task.add_done_callback(lambda _: news.tell())
        try:
            while True:
                await news.wait()
                news.clear()
                if task.done():
                    task.result()
                yield news.since
                # The keeper would wait as long with the next one; so no set is put together that nobody sees.
                await asyncio.sleep(PACE)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _receive(self, api: ApiServer, path: str, slices: Slices, bucket: TokenBucket, news: News) -> None:
        """Watch, again and again from where the last watch ended; never returns."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(bucket.take(loop.time()))
            began, count = loop.time(), 0
            question = slices.watch_question(self._watch)
            async with api.stream(path, question, self._watch + self._slack) as messages:
                async for message in messages:
                    slices.changed(message)
                    news.tell()
                    count += 1
                    if count % BATCH == 0:
                        await asyncio.sleep(0)  # a burst of changes is no reason to keep requests waiting
            if not count and loop.time() - began < min(SHORTEST, self._watch / 2):
                raise KubernetesError("the watch was closed at once, with nothing said")
            news.tell()

    async def _find_zone(self, api: ApiServer) -> str:
        """Return our zone; with `auto`, that of the node that we run on."""
        if self._zone != "auto":
            return self._zone
        node = self._environ.get("NODE_NAME", "")
        if not node:
            raise KubernetesError(
                "zone is auto, and the environment variable NODE_NAME does not name our node; "
                "set it from spec.nodeName in the pod's manifest, or name the zone"
            )
        answer = await api.ask(f"/api/v1/nodes/{quote(node, safe='')}", {})
        metadata = answer.get("metadata")
        labels = metadata.get("labels") if isinstance(metadata, dict) else None
        zone = labels.get(ZONE_LABEL) if isinstance(labels, dict) else None
        if not isinstance(zone, str) or not zone:
            raise KubernetesError(f"the node {show(node)} has no label {ZONE_LABEL}; name the zone")
        return zone
