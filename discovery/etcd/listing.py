"""The services that etcd holds: what the keys below a prefix have in common up to the next `/`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from discovery.catalog import Listed
from discovery.etcd.entries import show_name
from discovery.etcd.messages import Message, bytes_of, encode, objects_of, range_end, revision_of
from discovery.etcd.prefix import KEY_LIMIT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PAGE = 5000  # keys an answer, without their values


async def list_services(ask: Callable[[str, Message], Awaitable[Message]], below: str) -> tuple[Listed, ...]:
    """List the prefixes one step below one: `/services/web/` of `/services/`, as far as there are keys.

    Of more than KEY_LIMIT keys only the first are looked at. `ask` asks a path of etcd a question.
    """
    prefix = below.encode()
    end = encode(range_end(prefix))
    start, revision, counts, keys = prefix, 0, Counter[bytes](), 0
    while keys < KEY_LIMIT:
        question: Message = {"key": encode(start), "range_end": end, "limit": PAGE, "keys_only": True}
        if revision:
            question["revision"] = str(revision)
        answer = await ask("/v3/kv/range", question)
        pairs = objects_of(answer, "kvs")
        for pair in pairs:
            key = bytes_of(pair, "key")
            name, is_below, rest = key.removeprefix(prefix).partition(b"/")
            if is_below and rest:  # else it is no instance of any service
                counts[prefix + name + b"/"] += 1
            start = key + b"\0"
        if answer.get("more") is not True or not pairs:
            break
        keys, revision = keys + len(pairs), revision or revision_of(answer)
    return tuple(Listed(show_name(name), count) for name, count in sorted(counts.items()))
