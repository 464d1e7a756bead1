"""Reports what was found in the data and what was done with them: once per run, not once per reader of a split."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator, Mapping

from jaxgan.data.sources import DataSpec
from jaxgan.system.plain import plain

log = logging.getLogger(__name__)

SKIPPED, ODD = "skipped", "read as"  # titles of the findings that are warnings
WIDTH = 9  # of the titles, in characters

_warned: set[str] = set()
_held = [0]  # how many `held` contexts are open


def warn_once(name: str, findings: Iterable[tuple[str, str]]) -> None:
    """Logs files that were skipped, or read in a way their owner may not expect, once per process."""
    for title, text in findings:
        if title in (SKIPPED, ODD):
            line = f"{plain(name)}: {'skipped ' if title == SKIPPED else ''}{text}"
            if line not in _warned:
                _warned.add(line)
                if not _held[0]:
                    log.warning("%s", line)


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Suppresses these warnings, also later for the same data: the caller reports everything, with `account`."""
    _held[0] += 1
    try:
        yield
    finally:
        _held[0] -= 1


def account(
    spec: DataSpec, held_out: DataSpec | None, batch_size: int, more: Mapping[str, DataSpec] | None = None
) -> list[str]:
    """Aligned lines on the data of a run. `spec` describes the training split, `more` the further sources by name."""
    uses = f"{spec.size:,} examples of {plain(spec.split)} are trained on"
    if held_out is None:
        uses += ", none are held out for scores"
    else:
        uses += f", {held_out.size:,} of {plain(held_out.split)} are held out for scores"
    findings = [*spec.findings, ("in use", uses)]
    for name, each in (more or {}).items():
        also = f"{each.size:,} examples of {plain(each.split)} are trained on"
        findings += [*((f"{name}: {title}", text) for title, text in each.findings), (f"{name}: in use", also)]
    for each in (spec, *(more or {}).values()):
        if batch_size > each.size:
            often = f"{batch_size:,} images, more than the {each.size:,} examples: each batch repeats some of them"
            findings.append(("batch", often))
    lines, before = [], ""
    for title, text in findings:
        lines.append(f"{'' if title == before else title:{WIDTH}} {text}")
        before = title
    return lines
