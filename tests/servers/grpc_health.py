"""A real gRPC server with the health service that gRPC brings along, in threads of the test's process."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Self

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
UNKNOWN = health_pb2.HealthCheckResponse.UNKNOWN


class GrpcServer:
    """The server while the block lasts, on a port of its own; without `health` it has no health service."""

    def __init__(self, *, has_health: bool = True, credentials: grpc.ServerCredentials | None = None) -> None:
        self._pool = ThreadPoolExecutor(2)
        self._server = grpc.server(self._pool)
        self._health = health.HealthServicer()
        if has_health:
            health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self.port: int = (
            self._server.add_secure_port("127.0.0.1:0", credentials)
            if credentials is not None
            else self._server.add_insecure_port("127.0.0.1:0")
        )

    def set(self, service: str, status: int) -> None:
        self._health.set(service, status)

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(0).wait()
        self._pool.shutdown()
