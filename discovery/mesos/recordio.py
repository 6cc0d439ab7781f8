r"""Records in a stream, each with its length in bytes ahead of it: Mesos' RecordIO.

    121\n{"type": "SUBSCRIBED", …}20\n{"type":"HEARTBEAT"}

Where the network cuts the stream has nothing to do with where records begin:
https://mesos.apache.org/documentation/latest/recordio/
"""

from __future__ import annotations

from config.units import show

LIMIT = 256 * 2**20  # bytes of one record; the first holds all that a master knows
_LONGEST_LENGTH = 10  # digits


class Records:
    """Takes the stream in as it comes, and gives the records out."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._length = -1  # of the record that is to come; unknown until its digits are there

    def feed(self, data: bytes) -> list[bytes]:
        """Return the records that are whole now. Raises ValueError when the stream makes no sense."""
        buffer = self._buffer
        buffer += data
        records: list[bytes] = []
        start = 0  # what was given out is cut off once a call, not once a record
        while True:
            if self._length < 0:
                end = buffer.find(b"\n", start, start + _LONGEST_LENGTH + 1)
                if end < 0 and len(buffer) - start <= _LONGEST_LENGTH:
                    break
                self._length = self._read_length(bytes(buffer[start : end if end >= 0 else start + _LONGEST_LENGTH]))
                start = end + 1
            if len(buffer) - start < self._length:
                break
            records.append(bytes(buffer[start : start + self._length]))
            start += self._length
            self._length = -1
        del buffer[:start]
        return records

    def _read_length(self, digits: bytes) -> int:
        if not (digits.isdigit() and len(digits) < _LONGEST_LENGTH):
            raise ValueError(f"a record must begin with its length, not {show(digits.decode('latin-1'))}")
        if int(digits) > self._limit:
            raise ValueError(f"a record of {int(digits)} bytes is larger than {self._limit} bytes")
        return int(digits)
