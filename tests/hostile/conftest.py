"""What strangers may do is tested on the loop that the proxy runs on."""

from __future__ import annotations

from tests.proxy.conftest import pytest_asyncio_loop_factories

__all__ = ["pytest_asyncio_loop_factories"]
