"""What changed between two runs of `python -m bench.micro`: `python -m bench.compare OLD.json NEW.json`.

Each sample is taken in units of a yardstick that was measured in the moment before it, so that a machine which is
slower today than yesterday shows little. A case has changed when the middle halves of the two runs' samples do not
meet; everything else is called the same, whatever the medians say.

Exit status: 0; 1 when a case has become slower by more than `--limit`, even at the lower end of what its ratio may be;
2 for wrong usage or a file that is none.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.micro.document import NotADocumentError, read, show

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.micro.timing import Measured, Range

LIMIT = 1.1
_MUST_BE_ALIKE = ("cpu", "python")


@dataclass(frozen=True, slots=True)
class Change:
    """A case in two runs: the new cost as a multiple of the old one, and between what it may lie."""

    name: str
    old: Range
    new: Range
    ratio: Range

    @property
    def verdict(self) -> str:
        """`slower`, `faster` or `same`."""
        if self.ratio.low > 1:
            return "slower"
        return "faster" if self.ratio.high < 1 else "same"

    def exceeds(self, limit: float) -> bool:
        """Tell whether it has become slower by more than it may, even at the lower end of what the ratio may be."""
        return self.ratio.low > limit


def changes(old: Sequence[Measured], new: Sequence[Measured]) -> list[Change]:
    """Compare the cases that both runs have, in the order of the new one."""
    before = {one.name: one for one in old}
    return [_change(before[one.name], one) for one in new if one.name in before]


def _change(old: Measured, new: Measured) -> Change:
    was, now = old.relative, new.relative
    ratio = type(was)(now.median / was.median, now.low / was.high, now.high / was.low)
    return Change(new.name, old.cost, new.cost, ratio)


def warnings(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Say where the two runs are not of a kind, by their heads."""
    return [
        f"the runs differ in {name}: {was} and {now}; what is compared here may be that"
        for name in _MUST_BE_ALIKE
        if (was := old.get("machine", {}).get(name)) != (now := new.get("machine", {}).get(name))
    ]


def table(compared: Sequence[Change], limit: float) -> str:
    """A case a row."""
    width = max(len(change.name) for change in compared)
    lines = [f"{'':<{width}}  {'old':>10}  {'new':>10}  {'new/old':>7}  {'may be':>12}"]
    for change in compared:
        ratio = change.ratio
        mark = "  more than the limit" if change.exceeds(limit) else ""
        lines.append(
            f"{change.name:<{width}}  {show(change.old.median):>10}  {show(change.new.median):>10}"
            f"  {ratio.median:>7.2f}  {ratio.low:>5.2f}..{ratio.high:>5.2f}  {change.verdict}{mark}"
        )
    return "\n".join(lines)


@click.command()
@click.argument("old", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("new", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--limit", type=click.FloatRange(min=1), default=LIMIT, help=f"Fail above it; default {LIMIT}.")
@click.option("--changed", is_flag=True, help="Show what has changed, and not what is the same.")
def main(old: Path, new: Path, limit: float, changed: bool) -> None:
    """Print what changed between two JSON files of `python -m bench.micro`, case by case."""
    try:
        (old_head, before), (new_head, after) = read(old), read(new)
    except NotADocumentError as error:
        raise click.UsageError(str(error)) from error
    for line in warnings(old_head, new_head):
        click.echo(line, err=True)
    compared = changes(before, after)
    if not compared:
        raise click.UsageError(f"{old} and {new} have no case in common")
    shown = [change for change in compared if not changed or change.verdict != "same"]
    click.echo(table(shown, limit) if shown else "nothing has changed")
    both = {change.name for change in compared}
    for what, measured in ((f"only in {old}", before), (f"only in {new}", after)):
        if alone := [one.name for one in measured if one.name not in both]:
            click.echo(f"{what}: {', '.join(alone)}")
    slower = [change for change in compared if change.exceeds(limit)]
    for change in slower:
        click.echo(f"{change.name} takes {change.ratio.median:.2f} times as long, more than {limit:g}", err=True)
    sys.exit(1 if slower else 0)


if __name__ == "__main__":
    main()
