"""Which keys of one mapping go together, and which items of one list do not.

The rules take no more than what is given, so that both ask them: the models, of themselves, and references.py, of plain
data, where a mistake beside them would keep a model from asking. Both find the same sentence; an error tells it once.
"""

from collections.abc import Callable, Collection, Iterable, Iterator

Rule = Callable[[Collection[str]], str | None]  # the keys that are given → what is wrong with that


def one_source(given: Collection[str]) -> str | None:
    """Want exactly one of a discovery's keys."""
    kinds = [key for key in ("static", "file", "consul") if key in given]
    if not kinds:
        return "must have one of static, file or consul"
    return f"has {' and '.join(kinds)}: keep one of static, file or consul" if len(kinds) > 1 else None


def one_token(given: Collection[str]) -> str | None:
    """Want at most one token for Consul."""
    return "has both token and token_file: keep one of them" if {"token", "token_file"} <= set(given) else None


def one_probe(given: Collection[str]) -> str | None:
    """Want exactly one kind of probe, and with tcp none of the keys of http."""
    if "http" in given:
        return "has both http and tcp: keep one" if "tcp" in given else None
    if "tcp" not in given:
        return "must have one of http and tcp"
    misplaced = [key for key in ("expect", "host") if key in given]
    return f"has {' and '.join(misplaced)} with tcp: leave out what only http probes have" if misplaced else None


def repeated(identities: Iterable[str | None]) -> Iterator[tuple[int, str]]:
    """Yield the place of each instance that an earlier one is the same as, and what is wrong; None is unknown."""
    first: dict[str, int] = {}
    for place, identity in enumerate(identities):
        if identity is not None and (earlier := first.setdefault(identity, place)) != place:
            yield place, f"must differ from item {earlier}: both are {identity}"
