"""The way into the access log: which exchanges are written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.access_log.destination import Destination
from proxy.access_log.formats import make_formatter
from proxy.access_log.redaction import Redaction
from proxy.access_log.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from proxy.access_log.formats import Formatter
    from proxy.access_log.record import Record


class AccessLog:
    """Writes exchanges: those that went well by `sample`, a share from 0 to 1, and all that did not.

    The owner of `writer` runs its `watch` and closes it.
    """

    def __init__(self, formatter: Formatter, writer: Writer, *, sample: float, random: Callable[[], float]) -> None:
        self.writer = writer
        self._format = formatter
        self._sample = sample
        self._random = random
        self.written_elsewhere = self.dropped_elsewhere = self.failed_elsewhere = 0  # by other processes

    @property
    def written(self) -> int:
        """How many lines were written."""
        return self.writer.written + self.written_elsewhere

    @property
    def dropped(self) -> int:
        """How many lines were not."""
        return self.writer.dropped + self.dropped_elsewhere

    @property
    def failed(self) -> int:
        """How many attempts to write came to nothing."""
        return self.writer.failed + self.failed_elsewhere

    def write(self, record: Record) -> None:
        """Write an exchange that is over, if it is one of those to be written. Takes some microseconds."""
        if self._sample < 1.0 and not record.failed() and self._random() >= self._sample:
            return
        self.writer.put(self._format(record))


def open_access_log(
    path: str, format: str, *, sample: float, redact: Iterable[str], buffer: int, random: Callable[[], float]
) -> AccessLog:
    """Open an access log at "stdout", "stderr" or a file, and start its thread. `buffer` is in bytes.

    To be called in the process that writes: the thread would not survive a fork. Raises FormatError, and an OSError
    whose `strerror` is a sentence.
    """
    formatter = make_formatter(format, Redaction(redact))
    return AccessLog(formatter, Writer(Destination(path), buffer), sample=sample, random=random)
