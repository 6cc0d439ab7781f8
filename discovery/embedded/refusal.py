"""The error that becomes an HTTP answer."""

from __future__ import annotations


class RefusedError(Exception):
    """A request is not done, and nothing of it is; the client gets `status` and `text`."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
