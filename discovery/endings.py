"""How connections end that are left in the middle of an answer, as those of watches are."""

from __future__ import annotations

import sys

# For aiohttp's `enable_cleanup_closed`. Over TLS such a connection says goodbye, and asyncio then waits for the other's
# goodbye, for up to 30 seconds; with this it is cut after two, and in any case when its session is closed. From Python
# 3.12.7 on aiohttp takes no such option.
CUT_SHORT = sys.version_info < (3, 12, 7)
