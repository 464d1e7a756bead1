"""What was found in the data and what was done with them, told once and not by every reader of a split."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator, Mapping

from jaxgan.data.sources import DataSpec
from jaxgan.system.plain import plain

log = logging.getLogger(__name__)

SKIPPED, ODD = "skipped", "read as"  # titles of what is a warning, wherever data are opened
WIDTH = 9  # of the titles

_warned: set[str] = set()
_held = [0]  # how many are inside of `held`


def warn_once(name: str, told: Iterable[tuple[str, str]]) -> None:
    """Logs what was skipped, and read otherwise than its owner may expect, once in this process."""
    for title, text in told:
        if title in (SKIPPED, ODD):
            line = f"{plain(name)}: {'skipped ' if title == SKIPPED else ''}{text}"
            if line not in _warned:
                _warned.add(line)
                if not _held[0]:
                    log.warning("%s", line)


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Inside, and for the same data ever after, nothing is logged: who opens them tells it all, with `account`."""
    _held[0] += 1
    try:
        yield
    finally:
        _held[0] -= 1


def account(
    spec: DataSpec, held_out: DataSpec | None, batch_size: int, more: Mapping[str, DataSpec] | None = None
) -> list[str]:
    """What a run is trained on, in aligned lines: `spec` is of the split trained on, `more` of further sources."""
    uses = f"{spec.size:,} examples of {plain(spec.split)} are trained on"
    if held_out is None:
        uses += ", none are held out for scores"
    else:
        uses += f", {held_out.size:,} of {plain(held_out.split)} are held out for scores"
    told = [*spec.told, ("in use", uses)]
    for name, each in (more or {}).items():
        also = f"{each.size:,} examples of {plain(each.split)} are trained on"
        told += [*((f"{name}: {title}", text) for title, text in each.told), (f"{name}: in use", also)]
    for each in (spec, *(more or {}).values()):
        if batch_size > each.size:
            often = f"{batch_size:,} images are more than the {each.size:,} examples, which come several times in each"
            told.append(("batch", often))
    lines, before = [], ""
    for title, text in told:
        lines.append(f"{'' if title == before else title:{WIDTH}} {text}")
        before = title
    return lines
