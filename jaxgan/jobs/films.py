"""`--mode=apply` on films: frame by frame in bounded memory, resumed from the last finished segment after a kill."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

import jaxgan
from jaxgan.inference.restorer import Restorer
from jaxgan.inference.streaming import Kept
from jaxgan.inference.tiling import Tiling
from jaxgan.jobs.files import Pair
from jaxgan.jobs.masks import FilmMasks, Masks
from jaxgan.jobs.pictures import Restoring, degraded, enlarged, seen
from jaxgan.media.films.cuts import Cuts
from jaxgan.media.films.frames import FilmFormat, Frame, Frames, Unfit, check_extra, open_frames
from jaxgan.media.films.stills import picture_files
from jaxgan.media.hidden import spread
from jaxgan.media.provenance.origin import Origin
from jaxgan.media.reading import Picture, PictureError
from jaxgan.reporting.progress import console
from jaxgan.system import signals
from jaxgan.system.plain import plain

AHEAD = 4  # frames read in advance, and frames waiting to be encoded, besides those being computed


class FilmOptions(NamedTuple):
    """The options for films."""

    codec: str | None = None
    quality: float | None = None
    start: float = 0.0  # seconds
    end: float | None = None
    rate: Fraction | None = None  # of a folder of frames

    def open(self, path: Path, *, start: bool = True, end: bool = True) -> Frames:
        """Opens a film or a folder of frames, optionally from `start` and to `end`. Raises PictureError and Unfit."""
        return open_frames(path, start=self.start if start else 0.0, end=self.end if end else None, rate=self.rate)


@dataclasses.dataclass(frozen=True)
class FilmJob:
    """One film to restore, with its settings."""

    pair: Pair
    restorer: Restorer
    tiling: Tiling
    batch_size: int | None
    chosen: FilmOptions
    masks: Masks | None = None
    degrade: bool = False
    compare: Path | None = None  # where to write a film of input and output side by side
    origin: Origin | None = None
    origin_of_compare: Origin | None = None


class Restored(NamedTuple):
    """The result of restoring a film."""

    text: str
    remarks: tuple[str, ...]
    whole: bool  # neither its source nor its masks were damaged


def film_size(path: Path, chosen: FilmOptions) -> tuple[int, int]:
    """Height and width of a film's frames. Raises PictureError, and Unfit for times beyond its end."""
    frames = chosen.open(path)
    try:
        if frames.still:
            raise Unfit("it is a single picture, expected a film")
        return frames.format.height, frames.format.width
    finally:
        frames.close()


def check_films(chosen: FilmOptions, pairs: Sequence[Pair]) -> None:
    """Raises UserError for a codec or quality that does not fit the films' containers, or if `[video]` is missing."""
    check_extra()
    from jaxgan.media.films.encoding import plan_encoding

    anything = FilmFormat(2, 2, None, Fraction(1, 1000))
    for suffix in sorted({pair.target.suffix.lower() for pair in pairs}):
        if chosen.codec is not None or chosen.quality is not None:
            plan_encoding(anything, suffix, chosen.codec, chosen.quality)


def restore_film(job: FilmJob) -> Restored:
    """Restores a film.

    Frames are written in segments, in a hidden folder beside the target. At the end they are joined with the source's
    other streams, and the film is moved to its target atomically. Segments that a killed call had finished are not
    computed again. Raises PictureError if a file cannot be read or written, and Unfit for masks and times that do not
    fit the film.
    """
    with contextlib.ExitStack() as stack:
        frames = job.chosen.open(job.pair.source)
        stack.callback(frames.close)
        masks = None
        if job.masks is not None:
            masks = stack.enter_context(FilmMasks(job.masks, job.pair.name, job.pair.source, frames, job.chosen.open))
        try:
            outputs = stack.enter_context(_Outputs(job, frames.format))
            _restore(job, frames, masks, outputs)
            lost = outputs.finish()
        except OSError as error:
            raise PictureError(f"{job.pair.target} cannot be written: {error.strerror or error}") from error
        size = f"{outputs.film.width} x {outputs.film.height}"
        text = f"{size}, {outputs.count} frame{'s' * (outputs.count != 1)} in {job.pair.target}"
        if masks is None:
            return Restored(text, (*frames.remarks, *lost), not frames.damaged)
        return Restored(text, (*frames.remarks, *masks.remarks, *lost), not (frames.damaged or masks.damaged))


def _restore(job: FilmJob, frames: Frames, masks: FilmMasks | None, outputs: _Outputs) -> None:
    """Restores all frames that no earlier call has finished."""
    done, cuts = outputs.count, Cuts()
    seen_from = max(0, done - Cuts.MEMORY)  # so that the same cuts are found as in an uninterrupted call
    restoring = Restoring(job.restorer, job.tiling, batch_size=job.batch_size, film=True, kept=outputs.kept)
    taken = done + restoring.waiting  # by an earlier call
    drawn = masks.of_frames(done) if masks is not None else None
    with (
        _Bar(job.pair.name, frames, outputs.first) as bar,
        contextlib.closing(ahead(frames.frames(seen_from))) as coming,
    ):
        for number, frame in enumerate(coming, seen_from):
            signals.check()
            cut = cuts.seen(frame.picture)
            if number < done:
                continue
            mask = None if drawn is None else drawn(frame.picture)
            if cut and number >= taken:
                restoring.end_shot()
            # batches never span segments, so that each is computed in the same way after a kill
            if outputs.ends(cut, restoring.waiting):
                restoring.flush()
                outputs.close_segment(restoring.keep(), restoring.waiting)
            picture = frame.picture
            if job.degrade:
                picture, mask = degraded(picture, job.restorer, f"{job.pair.name}:{number}")
            outputs.expect()
            finished = partial(outputs.add, frame, seen(picture, mask))
            restoring.take(picture, mask, finished, folder=outputs.folder)
            bar.at(frame)
        restoring.end_shot()
        restoring.flush()
        outputs.close_segment(restoring.keep())
    if masks is not None:
        masks.finish(cut=job.chosen.end is not None)


def ahead(frames: Iterator[Frame]) -> Generator[Frame, None, None]:
    """Yields the frames, while a thread reads the next ones."""
    with ThreadPoolExecutor(1, "reader") as reader:
        waiting = deque(reader.submit(next, frames, None) for _ in range(AHEAD))
        while (frame := waiting.popleft().result()) is not None:
            waiting.append(reader.submit(next, frames, None))
            yield frame


class _Outputs(contextlib.ExitStack):
    """The restored film and, if requested, the comparison. On exit, unfinished segments are discarded."""

    def __init__(self, job: FilmJob, given: FilmFormat):
        from jaxgan.media.films.encoding import check_size, plan_encoding
        from jaxgan.media.films.segments import SegmentedFilm

        super().__init__()
        self._job, scale = job, job.restorer.scale
        form = given if job.degrade else given.enlarged(scale)
        if job.degrade:  # rows and columns beyond a multiple of the scale are cropped
            form = dataclasses.replace(given, width=given.width // scale * scale, height=given.height // scale * scale)
        beside = dataclasses.replace(form, width=2 * form.width)
        identity, chosen = _identity(job), job.chosen
        forms = {job.pair.target: form} | ({job.compare: beside} if job.compare is not None else {})
        plans = {
            target: plan_encoding(each, target.suffix.lower(), chosen.codec, chosen.quality)
            for target, each in forms.items()
        }
        for plan in plans.values():  # before any frame is restored
            check_size(plan)
        self._films = list[SegmentedFilm]()
        with contextlib.ExitStack() as opened:
            for target, plan in plans.items():
                self._films.append(SegmentedFilm(target, plan, identity))
                opened.callback(self._films[-1].release)
            self.push(opened.pop_all())
        if any(film.anew for film in self._films):
            print(
                f"{plain(job.pair.name)}: starts over, because an earlier call had another input or other options",
                flush=True,
            )
        together = min(len(film.segments) for film in self._films)
        kept = self._films[0].kept_with(together) if job.restorer.begin is not None and together else None
        self.kept = kept  # the memory after the finished segments, of a restorer that has one
        if job.restorer.begin is not None and kept is None:
            together = 0
        for film in self._films:
            film.keep(together)
        self._time_base, self._expected = given.time_base, 0
        self._encoder = ThreadPoolExecutor(1, "encoder")
        self.callback(self._encoder.shutdown, cancel_futures=True)
        self._waiting = deque[Future[None]]()

    @property
    def film(self) -> FilmFormat:
        """The format of the restored film."""
        return self._films[0].plan.film

    @property
    def folder(self) -> Path:
        """A folder for temporary files."""
        return self._films[0].folder

    @property
    def count(self) -> int:
        """The number of frames in finished segments."""
        return self._films[0].done

    @property
    def first(self) -> int | None:
        """The pts of the first frame, if a segment is finished."""
        segments = self._films[0].segments
        return segments[0].first if segments else None

    def expect(self) -> None:
        """Counts a frame that will be added to this segment."""
        self._expected += 1

    def ends(self, cut: bool, waiting: int) -> bool:
        """Whether the segment ends before the next frame. `cut`: whether that frame begins a shot.

        The expected frames that are `waiting` for later ones belong to the next segment.
        """
        from jaxgan.media.films.segments import LENGTH, SHORTEST

        return self._expected - waiting >= (SHORTEST if cut else LENGTH)

    def add(self, frame: Frame, before: Picture, after: Picture) -> None:
        """Adds a restored frame with its input. They are encoded while the next frames are computed."""
        while len(self._waiting) >= AHEAD:
            self._waiting.popleft().result()
        self._waiting.append(self._encoder.submit(self._encode, frame, before, after))

    def _encode(self, frame: Frame, before: Picture, after: Picture) -> None:
        pictures = (after, beside(before, after, self._job.restorer.scale)) if len(self._films) > 1 else (after,)
        for film, picture in zip(self._films, pictures):
            film.add(frame._replace(picture=picture))

    def close_segment(self, kept: Kept | None, waiting: int = 0) -> None:
        """Finishes the segment, and stores beside it the state that is needed to continue."""
        while self._waiting:
            self._waiting.popleft().result()
        for film in reversed(self._films):
            film.close_segment(kept if film is self._films[0] else None)
        self._expected = waiting

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        if kind is not None and issubclass(kind, KeyboardInterrupt) and self.count:
            print(f"{plain(self._job.pair.name)}: run the same command again to continue", flush=True)
        return super().__exit__(kind, error, trace)

    def finish(self) -> tuple[str, ...]:
        """Joins the segments and moves the films to their targets; returns remarks on what is lost."""
        chosen, source = self._job.chosen, self._job.pair.source
        lost = list[str]()
        for film, origin in zip(self._films, (self._job.origin, self._job.origin_of_compare)):
            remarks = film.make_whole(
                None if source.is_dir() else source,
                time_base=self._time_base,
                start=chosen.start,
                end=chosen.end,
                origin=origin,
            )
            lost += [each for each in (*film.plan.lost, *remarks) if each not in lost]
        for film in self._films:  # only when all are complete: if the disk is full, the next call needs the segments
            film.move()
        return tuple(lost)


class _Bar:
    """A progress bar in film time, shown on a terminal only."""

    def __init__(self, name: str, frames: Frames, first: int | None):
        """`first`: pts of the first frame, if an earlier call has restored it."""
        columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=24), TimeRemainingColumn())
        shared, silent = sys.stdout.isatty(), not console.is_terminal
        self._progress = Progress(*columns, console=console, redirect_stdout=shared, disable=silent)
        self._name, self._tick, self._seconds = plain(name), frames.format.time_base, frames.seconds
        self._task = self._progress.add_task(self._name, total=frames.seconds)
        self._first = first

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def at(self, frame: Frame) -> None:
        """Moves the bar to a frame."""
        self._first = frame.pts if self._first is None else self._first
        time = float((frame.pts - self._first) * self._tick)
        whole = "" if self._seconds is None else f" / {_clock(self._seconds)}"
        self._progress.update(self._task, completed=time, description=f"{self._name} {_clock(time)}{whole}")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def beside(before: Picture, after: Picture, scale: int) -> Picture:
    """The bicubically enlarged input at the left of the output."""
    left, right, alpha = before.pixels, after.pixels, before.alpha
    if scale > 1:
        left = spread(left, alpha)
        left = np.concatenate([enlarged(left[..., [channel]], scale) for channel in range(before.channels)], axis=2)
        alpha = None if alpha is None else enlarged(alpha, scale)
    channels = max(before.channels, after.channels)
    left, right = (each if each.shape[2] == channels else each.repeat(channels, axis=2) for each in (left, right))
    both = None if alpha is None or after.alpha is None else np.concatenate([alpha, after.alpha], axis=1)
    return dataclasses.replace(after, pixels=np.concatenate([left, right], axis=1), alpha=both)


def _identity(job: FilmJob) -> Mapping[str, Any]:
    """Everything that determines the frames of a film."""
    masks = job.masks
    return {
        "version": jaxgan.__version__,
        "source": _state(job.pair.source),
        "model": job.restorer.fingerprint,
        "tiling": str(job.tiling),
        "batch_size": job.batch_size,
        "chosen": [str(each) for each in job.chosen],
        "masks": None if masks is None else [_state(masks.of_film(job.pair.name)[0]), masks.color],
        "degrade": job.degrade and job.pair.name,
        "marked": job.origin is not None,
    }


def _state(path: Path | None) -> list[list[str | int]]:
    """Path, size and time of a file, or of the pictures in a folder, by which changes are detected."""
    if path is None:
        return []
    try:
        files = picture_files(path) if path.is_dir() else [path]
        return [[str(each.resolve()), each.stat().st_size, each.stat().st_mtime_ns] for each in files]
    except OSError as error:
        raise PictureError(f"{path} cannot be read: {error.strerror or error}") from error
