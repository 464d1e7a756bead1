"""Writes a film in segments, so that finished ones survive if the process is killed."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import itertools
import json
import os
import shutil
import zipfile
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from jaxgan.media.films.encoding import Plan, SegmentWriter
from jaxgan.media.films.frames import CONTAINERS, Frame
from jaxgan.media.films.joining import Segment, join
from jaxgan.media.provenance.origin import Origin, Remark, describe_file, film_tags, sign_file
from jaxgan.media.reading import PictureError
from jaxgan.system.json_files import read_json
from jaxgan.system.paths import open_regular
from jaxgan.system.whole_files import replace_file

LENGTH = 48  # frames of a segment at most: after a kill, up to this many are computed again
SHORTEST = 12  # frames of a segment before a cut may end it
TOLD_WHILE_WRITTEN = ("matroska", "webm")  # containers whose origin can only be stored while they are written
LONGEST_NAME = 200  # bytes; longer names are replaced by their hash in the folder's name
RECORD, LOCK = "segments.json", "lock"


def folder_of(target: Path) -> Path:
    """The hidden folder beside a film that holds its segments until it is complete."""
    name = target.name
    if len(os.fsencode(name)) > LONGEST_NAME:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()
    return target.with_name(f".{name}.segments")


class _Closed(NamedTuple):
    """A finished segment."""

    name: str
    frames: int
    first: int  # pts of the first one
    size: int  # bytes of the file


class SegmentedFilm:
    """Takes frames one by one and keeps those of finished segments.

    If the job is the same as before, it continues after the last finished segment; else it starts over.
    """

    def __init__(self, target: Path, plan: Plan, job: Mapping[str, Any]):
        """`job`: everything that determines the frames, as JSON.

        Raises OSError, and PictureError while another process writes the film.
        """
        self.folder, self._target, self._plan = folder_of(target), target, plan
        self._job = json.loads(json.dumps({**job, "encoding": str(plan)}, allow_nan=False))
        self._joined = self.folder / f"joined{target.suffix.lower()}"
        self._closed: list[_Closed] = []
        self._signed = False  # the joined film
        self.anew = False  # there were segments of another job
        self._lost: list[str] = []  # remarks on what joining could not keep
        self._unsaid: list[str] = []  # remarks on what the file cannot store of its origin
        self._lock = self._locked()
        self._read()
        self._writer: SegmentWriter | None = None
        self._frames, self._first = 0, 0

    @property
    def plan(self) -> Plan:
        """The encoding of the film."""
        return self._plan

    @property
    def done(self) -> int:
        """The number of frames in finished segments."""
        return sum(segment.frames for segment in self._closed)

    @property
    def segments(self) -> list[Segment]:
        """The finished segments."""
        return [Segment(self.folder / segment.name, segment.first) for segment in self._closed]

    def add(self, frame: Frame) -> None:
        """Adds the next frame."""
        if self._writer is None:
            self._first, self._frames = frame.pts, 0
            self._writer = SegmentWriter(self.folder / self._name(), self._plan)
        self._writer.add(frame.picture, frame.pts, frame.duration)
        self._frames += 1

    def close_segment(self, beside: Mapping[str, Any] | None = None) -> None:
        """Finishes the current segment, if any, and stores the arrays `beside` it that are needed to continue."""
        if self._writer is None:
            return
        self._writer.close()
        self._writer = None
        path = self.folder / self._name()
        with open(path, "rb") as file:
            os.fsync(file.fileno())  # the record must not reach the disk before the segment
        self._closed.append(_Closed(path.name, self._frames, self._first, path.stat().st_size))
        if beside is not None:
            with open(self._beside(len(self._closed)), "wb") as file:
                np.savez(file, **beside)
                file.flush()
                os.fsync(file.fileno())
        self._keep_record()
        self._beside(len(self._closed) - 1).unlink(missing_ok=True)

    def kept_with(self, count: int) -> dict[str, np.ndarray] | None:
        """The arrays stored beside finished segment number `count`, from 1 on; None if missing or incomplete."""
        try:
            with np.load(self._beside(count), allow_pickle=False) as file:
                return dict(file)
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
            return None

    def keep(self, count: int) -> None:
        """Forgets all but the first `count` finished segments."""
        self._closed = self._closed[:count]

    def make_whole(
        self,
        source: Path | None,
        *,
        time_base: Fraction,
        start: float = 0.0,
        end: float | None = None,
        origin: Origin | None = None,
    ) -> tuple[str, ...]:
        """Joins the segments with the source's other streams and writes the origin; returns remarks on what is lost.

        Raises OSError and PictureError; the finished segments then stay.
        """
        suffix = self._target.suffix.lower()
        if not self._joined.exists():
            part = self.folder / f"part{suffix}"
            self._lost = list(
                join(
                    self.segments,
                    part,
                    suffix,
                    source=source,
                    time_base=time_base,
                    start=start,
                    end=end,
                    rate=self._plan.film.rate,
                    tags=film_tags(origin) if origin is not None and CONTAINERS[suffix] in TOLD_WHILE_WRITTEN else None,
                )
            )
            self._unsaid = [] if origin is None else list(describe_file(part, suffix, origin))
            self._keep_record()
            os.replace(part, self._joined)
            for segment in self.segments:  # lest the disk hold the film three times
                segment.path.unlink()
        unsigned: tuple[str, ...] = ()
        if origin is not None and not self._signed:
            unsigned = sign_file(self._joined, suffix, origin, title=self._target.name)
            self._signed = True
            self._keep_record()
        return (*self._lost, *map(Remark, self._unsaid), *unsigned)

    def move(self) -> None:
        """Moves the complete film to its target. Raises OSError."""
        os.replace(self._joined, self._target)
        shutil.rmtree(self.folder, ignore_errors=True)

    def release(self) -> None:
        """Deletes the unfinished segment and releases the lock; deletes the folder if no segment is finished."""
        if self._writer is not None:
            self._writer.abandon()
            self._writer = None
        if not self._closed:
            shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.close()

    def _beside(self, count: int) -> Path:
        """The file of the arrays stored after `count` segments."""
        return self.folder / f"{count:06}.npz"

    def _name(self) -> str:
        return f"{len(self._closed):06}{self._plan.codec.segment}"

    def _keep_record(self) -> None:
        record = {
            "job": self._job,
            "closed": self._closed,
            "lost": self._lost,
            "unsaid": self._unsaid,
            "signed": self._signed,
        }
        replace_file(self.folder / RECORD, json.dumps(record, allow_nan=False).encode())

    def _read(self) -> None:
        """Takes over what an earlier call has finished, and deletes all other files."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            record = read_json(self.folder / RECORD)
            closed = [
                _Closed(str(name), int(frames), int(first), int(size)) for name, frames, first, size in record["closed"]
            ]
            lost, unsaid = ([str(each) for each in record[name]] for name in ("lost", "unsaid"))
            self.anew = record["job"] != self._job
            if not self.anew and self._joined.exists():
                self._closed, self._lost, self._unsaid, self._signed = closed, lost, unsaid, record["signed"] is True
            elif not self.anew:
                self._closed = list(itertools.takewhile(self._is_whole, closed))
        kept = {segment.name for segment in self._closed} | {
            LOCK,
            *([RECORD, self._joined.name, self._beside(len(self._closed)).name] if self._closed else ()),
        }
        for path in self.folder.iterdir():
            if path.name not in kept and not path.is_dir():
                path.unlink()

    def _is_whole(self, segment: _Closed) -> bool:
        """Whether a segment still has its full size: after a power cut it may be shorter."""
        path = self.folder / segment.name
        return path.exists() and path.stat().st_size == segment.size

    def _locked(self) -> IO[bytes]:
        """Opens and locks the file that keeps other processes from writing the same film."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.folder.is_symlink():  # the files that it points to are not ours to delete
            raise PictureError(f"{self.folder} is a link, expected a folder; remove the link")
        file = open_regular(self.folder / LOCK)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise PictureError(f"another process writes {self._target}") from None
        except OSError:  # the file system has no locks, so a second process cannot be kept out
            pass
        return file
