"""`--mode=doctor`: explains the curves of a run, and says which fields of its config to change."""

from __future__ import annotations

from collections.abc import Mapping

from jaxgan.building.opening import open_sources
from jaxgan.checkpoints.workdir import Workdir
from jaxgan.cli.options import allowed
from jaxgan.config.run import RunConfig
from jaxgan.errors import FINISHED, UserError
from jaxgan.fields import frames
from jaxgan.reporting.writer import read_scalars
from jaxgan.stability.diagnosis import Grade, Record, diagnose, verdict
from jaxgan.system.json_files import BrokenFileError, lines
from jaxgan.system.plain import plain

MARKS: Mapping[Grade, str] = {"fine": "ok", "unknown": "?", "look": "!", "bad": "!!"}
ROLLED_BACK = "rolled back to step"  # as the training loop logs it


def run(config: RunConfig, workdir: str, options: Mapping[str, str]) -> int:
    """Prints the findings, the suggested changes, and one verdict.

    Nothing is trained or written. Raises UserError if there is no run in the workdir.
    """
    place = Workdir(workdir)
    if not place.config.exists():
        raise UserError(f"--workdir={workdir}: there is no run in it (no {place.config.name})")
    record = read_record(config, place, allowed(options))
    if record.lines:
        last, losses = record.lines[-1], ", ".join(str(each.section["loss"]) for each in config.adversaries.values())
        print(plain(f"{place.path}: step {last['step']}, {last['images']:,} images, loss {losses or None}"))
    findings = diagnose(record)
    for finding in findings:
        print(f"{MARKS[finding.grade]:>2}  {finding.subject:12} {finding.text}")
        for change in finding.changes:
            print(f"{'':17}change: {change}")
    if any("--config.task" in change or "--config.optimizers" in change for f in findings for change in f.changes):
        print("Start a changed run in another --workdir: a workdir belongs to one config.")
    print(verdict(findings))
    return FINISHED


def read_record(config: RunConfig, place: Workdir, allow: tuple[str, ...] = ()) -> Record:
    """The record of a run, with the size of the smallest data set if all data can be opened."""
    try:  # the log is plain text, and may be damaged
        rollbacks = sum(line.count(ROLLED_BACK.encode()) for line in lines(place.log))
    except (OSError, BrokenFileError):
        rollbacks = 0
    try:
        specs = [source.spec for source in open_sources(config, allow).values()]
        size = min(spec.size * frames(spec.fields) for spec in specs)
    except UserError:
        size = None
    return Record(read_scalars(place.scalars), config, rollbacks, size)
