"""A film that is written in segments, which outlive a process that is killed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from jaxgan.media.encoding import Plan, SegmentWriter
from jaxgan.media.frames import Frame
from jaxgan.media.images import replace_file
from jaxgan.media.joining import Segment, join

LENGTH = 48  # frames of a segment at most: so many are computed again after a kill
SHORTEST = 12  # frames before a cut may end one
RECORD = "segments.json"


def folder_of(target: Path) -> Path:
    """Where the segments of a film lie until it is whole: a hidden folder beside it."""
    return target.with_name(f".{target.name}.segments")


class SegmentedFilm:
    """Takes frames one by one and keeps those of finished segments.

    With the same job as before it goes on where the last finished segment ends; with another one it begins anew.
    """

    def __init__(self, target: Path, plan: Plan, job: Mapping[str, Any]):
        """`job`: all that the frames follow from, JSON. Raises OSError."""
        self.folder, self._target, self._plan = folder_of(target), target, plan
        self._job = json.loads(json.dumps({**job, "encoding": str(plan)}, allow_nan=False))
        self._closed: list[tuple[str, int, int]] = []  # name, frames, pts of the first
        self._read()
        self._writer: SegmentWriter | None = None
        self._frames, self._first = 0, 0

    @property
    def plan(self) -> Plan:
        """How the film is stored."""
        return self._plan

    @property
    def done(self) -> int:
        """How many frames are there already."""
        return sum(frames for _, frames, _ in self._closed)

    @property
    def segments(self) -> list[Segment]:
        """The finished segments."""
        return [Segment(self.folder / name, first) for name, _, first in self._closed]

    def add(self, frame: Frame) -> None:
        """The next frame."""
        if self._writer is None:
            self._first, self._frames = frame.pts, 0
            self._writer = SegmentWriter(self.folder / self._name(), self._plan)
        self._writer.add(frame.picture, frame.pts, frame.duration)
        self._frames += 1

    def close_segment(self) -> None:
        """Ends the segment, if there is one; from now on it is kept."""
        if self._writer is None:
            return
        self._writer.close()
        self._writer = None
        self._closed.append((self._name(), self._frames, self._first))
        record = {"job": self._job, "closed": self._closed}
        replace_file(self.folder / RECORD, json.dumps(record, allow_nan=False).encode())

    def keep(self, count: int) -> None:
        """Forgets all but the first `count` finished segments."""
        self._closed = self._closed[:count]

    def finish(self, source: Path | None, *, time_base: Fraction, start: float, end: float | None) -> tuple[str, ...]:
        """Joins the segments with the other streams of the source, and moves the film to its place in one move.

        Returns what could not be kept. Raises OSError; then the segments stay.
        """
        whole = self.folder / f"whole{self._target.suffix}"
        suffix = self._target.suffix.lower()
        lost = join(self.segments, whole, suffix, source=source, time_base=time_base, start=start, end=end)
        os.replace(whole, self._target)
        shutil.rmtree(self.folder, ignore_errors=True)
        return lost

    def abandon(self) -> None:
        """Lets the unfinished segment go."""
        if self._writer is not None:
            self._writer.abandon()
            self._writer = None

    def _name(self) -> str:
        return f"{len(self._closed):06}{self._plan.codec.segment}"

    def _read(self) -> None:
        try:
            record = json.loads((self.folder / RECORD).read_bytes())
            same = record["job"] == self._job
            closed = [(str(name), int(frames), int(first)) for name, frames, first in record["closed"]]
        except (OSError, ValueError, KeyError, TypeError):
            same, closed = False, []
        if same and all((self.folder / name).exists() for name, _, _ in closed):
            self._closed = closed
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
