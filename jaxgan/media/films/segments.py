"""A film that is written in segments, which outlive a process that is killed."""

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
from jaxgan.media.images import replace_file
from jaxgan.media.provenance.origin import Origin, Remark, describe_file, film_tags, sign_file
from jaxgan.media.reading import PictureError
from jaxgan.system.json_files import read_json
from jaxgan.system.paths import open_regular

LENGTH = 48  # frames of a segment at most: so many are computed again after a kill
SHORTEST = 12  # frames before a cut may end one
TOLD_WHILE_WRITTEN = ("matroska", "webm")  # containers that can be told what made them only while they are written
LONGEST_NAME = 200  # bytes, from which on the folder is named otherwise
RECORD, LOCK = "segments.json", "lock"


def folder_of(target: Path) -> Path:
    """Where the segments of a film lie until it is whole: a hidden folder beside it."""
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

    With the same job as before it goes on where the last finished segment ends; with another one it begins anew.
    """

    def __init__(self, target: Path, plan: Plan, job: Mapping[str, Any]):
        """`job`: all that the frames follow from, JSON.

        Raises OSError, and PictureError while another process writes the film.
        """
        self.folder, self._target, self._plan = folder_of(target), target, plan
        self._job = json.loads(json.dumps({**job, "encoding": str(plan)}, allow_nan=False))
        self._joined = self.folder / f"joined{target.suffix.lower()}"
        self._closed: list[_Closed] = []
        self._signed = False  # the joined film
        self.anew = False  # segments of another job were there
        self._lost: list[str] = []  # what joining could not keep,
        self._unsaid: list[str] = []  # and what the file cannot say of its origin
        self._lock = self._locked()
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
        return sum(segment.frames for segment in self._closed)

    @property
    def segments(self) -> list[Segment]:
        """The finished segments."""
        return [Segment(self.folder / segment.name, segment.first) for segment in self._closed]

    def add(self, frame: Frame) -> None:
        """The next frame."""
        if self._writer is None:
            self._first, self._frames = frame.pts, 0
            self._writer = SegmentWriter(self.folder / self._name(), self._plan)
        self._writer.add(frame.picture, frame.pts, frame.duration)
        self._frames += 1

    def close_segment(self, beside: Mapping[str, Any] | None = None) -> None:
        """Ends the segment, if there is one; from now on it is kept, and beside it what is needed to go on."""
        if self._writer is None:
            return
        self._writer.close()
        self._writer = None
        path = self.folder / self._name()
        with open(path, "rb") as file:
            os.fsync(file.fileno())  # the record must not outlive what it tells of
        self._closed.append(_Closed(path.name, self._frames, self._first, path.stat().st_size))
        if beside is not None:
            with open(self._beside(len(self._closed)), "wb") as file:
                np.savez(file, **beside)
                file.flush()
                os.fsync(file.fileno())
        self._keep_record()
        self._beside(len(self._closed) - 1).unlink(missing_ok=True)

    def kept_with(self, count: int) -> dict[str, np.ndarray] | None:
        """What was kept beside the finished segment of this number, from 1 on; None where it is not there whole."""
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
        """Joins the segments with the other streams of the source, and marks the film; what could not be kept.

        Raises OSError and PictureError; then what was finished stays.
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
            for segment in self.segments:  # so that the disk never holds the film three times
                segment.path.unlink()
        unsigned: tuple[str, ...] = ()
        if origin is not None and not self._signed:
            unsigned = sign_file(self._joined, suffix, origin, title=self._target.name)
            self._signed = True
            self._keep_record()
        return (*self._lost, *map(Remark, self._unsaid), *unsigned)

    def move(self) -> None:
        """Moves the whole film to its place. Raises OSError."""
        os.replace(self._joined, self._target)
        shutil.rmtree(self.folder, ignore_errors=True)

    def release(self) -> None:
        """Lets go the unfinished segment, and the film to other processes; without a finished one nothing stays."""
        if self._writer is not None:
            self._writer.abandon()
            self._writer = None
        if not self._closed:
            shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.close()

    def _beside(self, count: int) -> Path:
        """Where that lies which belongs to so many segments."""
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
        """Takes over what an earlier call has finished, and deletes all else."""
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
        """Whether a segment is there as it was finished: after a power cut it may be shorter."""
        path = self.folder / segment.name
        return path.exists() and path.stat().st_size == segment.size

    def _locked(self) -> IO[bytes]:
        """The open file that tells other processes that this one writes the film."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.folder.is_symlink():  # what lies where it leads is not ours to delete
            raise PictureError(f"{self.folder} is a link; remove it")
        file = open_regular(self.folder / LOCK)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise PictureError(f"another process writes {self._target}") from None
        except OSError:  # a file system without locks: nothing keeps a second process out
            pass
        return file
