"""What etcd holds below one prefix: the questions that find it out, and what follows from the answers.

Nothing here waits or reads a clock: the registry asks and passes on. How keys, values and numbers are written is the
concern of messages.

What etcd promises: https://etcd.io/docs/v3.4/learning/api/
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from config.units import show
from discovery.etcd.entries import read_entry, show_name
from discovery.etcd.gateway import EtcdError
from discovery.etcd.messages import Message, bytes_of, encode, number_of, objects_of, range_end, revision_of
from discovery.instance import Snapshot, first_line

if TYPE_CHECKING:
    from discovery.instance import Instance

PAGE = 500  # keys an answer; reading them takes some ten milliseconds, in which nothing else is done
KEY_LIMIT = 100_000  # keys below one prefix


class CompactedError(Exception):
    """The changes that the watch should tell were discarded before it could: the keys must be listed anew."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A question whose answer shows whether anything changed since `revision`, when there were `count` keys."""

    question: Message
    revision: int
    count: int


class Prefix:
    """The keys below `prefix`, as far as etcd told.

    First `list_question` is asked and the answer given to `listed`, until there is no more. All pages are of one
    revision, the first one's. Then the messages of the watch that `watch_question` opens go to `changed`, in order.
    Every method that reads an answer raises EtcdError when it makes no sense.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix.encode()
        self._range = {"key": encode(self._prefix), "range_end": encode(range_end(self._prefix))}
        self._last = b""  # the key that the last page ended with
        self._instances: dict[bytes, Instance] = {}
        self._unreadable: dict[bytes, str] = {}
        self.revision = 0  # of the last change that is known

    def __len__(self) -> int:
        return len(self._instances) + len(self._unreadable)

    def list_question(self) -> Message:
        """Return the question for the next page."""
        question: Message = {**self._range, "limit": PAGE}
        if self._last:
            question |= {"key": encode(self._last + b"\0"), "revision": str(self.revision)}
        return question

    def listed(self, answer: Message) -> bool:
        """Take a page, and tell whether there are more."""
        if not self._last:
            self.revision = revision_of(answer)
        if number_of(answer, "count") > KEY_LIMIT:
            raise EtcdError(f"there are more than {KEY_LIMIT} keys below the prefix")
        pairs = objects_of(answer, "kvs")
        for pair in pairs:
            self._last = self._key(pair)
            self._put(self._last, bytes_of(pair, "value"))
        if answer.get("more") is True:
            if not pairs:
                raise EtcdError("a page without keys says that there are more")
            return True
        return False

    def watch_question(self) -> Message:
        """Return the question that opens the watch of what follows."""
        return {"create_request": {**self._range, "start_revision": str(self.revision + 1)}}

    def changed(self, message: Message) -> bool:
        """Take one message of the watch, and tell whether it holds a change. Raises CompactedError.

        All changes of one transaction come in one message.
        """
        if number_of(message, "compact_revision"):
            raise CompactedError
        if message.get("canceled") is True:
            raise EtcdError(f"the watch was cancelled: {first_line(message.get('cancel_reason')) or 'no reason given'}")
        events = objects_of(message, "events")
        for event in events:
            pair = event.get("kv")
            if not isinstance(pair, dict):
                raise EtcdError(f"kv must be an object, not {show(pair)}")
            key = self._key(pair)
            if event.get("type") == "DELETE":  # also the end of a lease
                self._instances.pop(key, None)
                self._unreadable.pop(key, None)
            else:
                self._put(key, bytes_of(pair, "value"))
            # Not the header's: while a watch catches up, that one is ahead of the changes that came with it.
            self.revision = max(self.revision, number_of(pair, "mod_revision"))
        if len(self) > KEY_LIMIT:
            raise EtcdError(f"there are more than {KEY_LIMIT} keys below the prefix")
        return bool(events)

    def compare(self) -> Comparison:
        """Return what to ask to find out whether the watch has told everything; the answer is a single key at most."""
        question = {**self._range, "min_mod_revision": str(self.revision + 1), "limit": 1, "keys_only": True}
        return Comparison(question, self.revision, len(self))

    @staticmethod
    def is_same(comparison: Comparison, answer: Message) -> bool:
        """Tell whether etcd held, when it answered, what we did when we asked.

        A key that was added or changed has a later revision; if there is none such, the keys are some of those that we
        knew, and if they are as many, then all of them.
        """
        revision = revision_of(answer)
        if revision < comparison.revision:
            raise EtcdError(f"its revision went back from {comparison.revision} to {revision}")
        return not objects_of(answer, "kvs") and number_of(answer, "count") == comparison.count

    def snapshot(self, service: str, *, continuous: bool) -> Snapshot:
        """Return the instances as they are known now."""
        instances, unreadable = tuple(self._instances.values()), tuple(self._unreadable.values())
        return Snapshot(service, instances, str(self.revision), continuous, unreadable)

    def _key(self, pair: Message) -> bytes:
        key = bytes_of(pair, "key")
        if not key.startswith(self._prefix):
            raise EtcdError(f"the key {show_name(key)} is not below the prefix")
        return key

    def _put(self, key: bytes, value: bytes) -> None:
        name = key.removeprefix(self._prefix)
        try:
            self._instances[key] = read_entry(name, value)
        except ValueError as error:
            self._instances.pop(key, None)
            self._unreadable[key] = f"{show_name(name)}: {error}"
        else:
            self._unreadable.pop(key, None)
