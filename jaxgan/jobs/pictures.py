"""Restores picture files: reads them, runs their tiles through a restorer in batches, and writes the results."""

from __future__ import annotations

import dataclasses
import errno
import math
import os
import tempfile
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from jaxgan.inference.restorer import Restorer
from jaxgan.inference.streaming import Kept, Stream
from jaxgan.inference.tiling import Batches, Mosaic, Tiling, continued
from jaxgan.jobs.files import Pair
from jaxgan.jobs.masks import Masks
from jaxgan.media.hidden import spread
from jaxgan.media.provenance.origin import Origin
from jaxgan.media.reading import Picture, PictureError, read_picture
from jaxgan.media.writing import check_fits, write_picture
from jaxgan.system import disks, signals

IN_MEMORY = 2**30  # bytes of the largest output that is held in memory
ZEROS = 2**24  # bytes written at once


def degraded(picture: Picture, restorer: Restorer, name: str) -> tuple[Picture, np.ndarray | None]:
    """Degrades a clean picture as in training; returns the network's condition, and the mask `[H,W,1]` if it has one.

    The noise depends on the name. Rows and columns beyond a multiple of the scale are cropped. Raises PictureError for
    pictures smaller than the scale.
    """
    assert restorer.degrade is not None
    scale = restorer.scale
    height, width = picture.height // scale * scale, picture.width // scale * scale
    if not height or not width:
        raise PictureError(f"it has {picture.width} x {picture.height} pixels, expected at least {scale} along a side")
    key = jax.random.fold_in(jax.random.key(0), zlib.crc32(name.encode()))
    clean = jnp.asarray(picture.to_float(spread(picture.pixels, picture.alpha)[None, :height, :width]))
    condition = np.asarray(restorer.degrade(key, clean))[0]
    mask = condition[..., -1:] > 0.5 if restorer.masks else None
    condition = condition[..., : picture.channels]  # drops the mask, or a noise level map
    alpha = None if picture.alpha is None else picture.alpha[:height:scale, :width:scale]
    icc = picture.icc if condition.shape[2] == picture.channels else None
    return dataclasses.replace(picture, pixels=picture.from_float(condition), alpha=alpha, icc=icc), mask


class Report(Protocol):
    """Receives the results of the pictures."""

    def done(self, pair: Pair, before: Picture, after: Picture, remarks: Sequence[str]) -> None:
        """A picture was restored and written."""
        ...

    def failed(self, pair: Pair, why: str) -> None:
        """A picture could not be read or written."""
        ...

    def advanced(self) -> None:
        """One more tile was computed."""
        ...


def _raise(error: PictureError) -> None:
    raise error


class Restoring:
    """Takes pictures, runs their tiles in batches, and passes on each restored one as soon as it is complete, in order.

    A picture for which the network gives values that are not finite is refused, since its pixels would be made up. A
    network with a memory takes the frames of a film in order, one by one, tile by tile.
    """

    def __init__(
        self,
        restorer: Restorer,
        tiling: Tiling,
        *,
        batch_size: int | None,
        advanced: Callable[[], None] = lambda: None,
        film: bool = False,
        kept: Kept | None = None,
    ):
        """`advanced` is called after each tile. `film`: pictures are frames; `kept`: the memory after earlier ones."""
        self._restorer, self._tiling, self._advanced = restorer, tiling, advanced
        self._batches = Batches(restorer, pixels=tiling.tile**2, batch_size=batch_size)
        self._stream = Stream(restorer, kept) if film and restorer.begin is not None else None

    def take(
        self,
        picture: Picture,
        mask: np.ndarray | None,
        finished: Callable[[Picture], None],
        *,
        folder: Path,
        refused: Callable[[PictureError], None] = _raise,
    ) -> None:
        """Adds a picture's tiles to the waiting ones; `mask`: bool `[H,W,1]`. A large output is kept in `folder`.

        If the picture cannot be restored, for example because the disk is full, `refused` is called with the error
        instead of `finished`; by default the error is raised.
        """
        scale = self._restorer.scale
        rows, columns = self._tiling.cut(picture.height), self._tiling.cut(picture.width)
        job = _Job(picture, mask, picture.height * scale, picture.width * scale, folder, finished, refused)
        mosaic = Mosaic(rows, columns, scale=scale, keep=partial(self._keep, job))
        pixels = spread(picture.pixels, picture.alpha)
        for place in mosaic.places():
            if job.ended:
                break
            signals.check()
            tile = picture.to_float(continued(pixels, *place))
            if mask is not None:
                tile = np.concatenate([tile, continued(mask, *place).astype(np.float32)], axis=2)
            if self._stream is not None:
                self._stream.add(tile, partial(self._put, mosaic), (place[0].start, place[1].start))
            else:
                self._batches.add(tile, partial(self._put, mosaic))

    def flush(self) -> None:
        """Finishes all pictures taken so far, except frames that are `waiting`."""
        self._batches.flush()

    @property
    def waiting(self) -> int:
        """The number of frames taken that cannot be finished without later ones."""
        return 0 if self._stream is None else self._stream.waiting

    def end_shot(self) -> None:
        """Call before a new shot: finishes the waiting frames, and resets the memory."""
        if self._stream is not None:
            self._stream.end_shot()

    def keep(self) -> Kept | None:
        """The state that another instance needs to continue the film; None if it needs none."""
        return None if self._stream is None else self._stream.keep()

    def _put(self, mosaic: Mosaic, values: np.ndarray) -> None:
        mosaic.put(values)
        self._advanced()

    def _keep(self, job: _Job, top: int, values: np.ndarray) -> None:
        if job.ended:
            return
        part = values[: job.height - top, : job.width]
        if job.pixels is None:
            shape = (job.height, job.width, part.shape[2])
            try:
                job.pixels = _room(shape, job.picture.pixels.dtype, job.folder)
            except PictureError as error:
                job.ended = True
                job.refused(error)
                return
        if not np.isfinite(part).all():
            job.lost += int(part.size - np.isfinite(part).sum())
            part = np.nan_to_num(part, nan=0.0, posinf=1.0, neginf=-1.0)
        job.pixels[top : top + len(part)] = job.picture.from_float(part)
        if top + len(part) < job.height:
            return
        if not job.lost:
            job.finished(self._whole(job))
            return
        reason = f"{job.lost} of {job.pixels.size} values that the network gives are not finite; it is not written"
        job.refused(PictureError(reason))

    def _whole(self, job: _Job) -> Picture:
        picture, pixels, scale = job.picture, job.pixels, self._restorer.scale
        assert pixels is not None
        if job.mask is not None and pixels.shape == picture.pixels.shape:
            np.copyto(pixels, picture.pixels, where=~job.mask)  # known pixels stay bit-identical
        alpha = picture.alpha if picture.alpha is None or scale == 1 else enlarged(picture.alpha, scale)
        icc = picture.icc if pixels.shape[2] == picture.channels else None  # a grey profile is invalid for colours
        return dataclasses.replace(picture, pixels=pixels, alpha=alpha, icc=icc, remarks=())


@dataclasses.dataclass
class _Job:
    """A picture that is being restored."""

    picture: Picture
    mask: np.ndarray | None
    height: int  # of the output
    width: int
    folder: Path
    finished: Callable[[Picture], None]
    refused: Callable[[PictureError], None]
    lost: int = 0  # number of values that are not finite
    ended: bool = False  # refused, for lack of room for its output
    pixels: np.ndarray | None = None  # the output, as far as it is computed


class Workshop:
    """Restores picture files, and writes each as soon as it is complete."""

    def __init__(
        self,
        restorer: Restorer,
        tiling: Tiling,
        *,
        batch_size: int | None,
        masks: Masks | None,
        degrade: bool,
        report: Report,
        origin: Origin | None,
    ):
        """`masks`: for a restorer that takes them; `degrade`: the pictures are clean, and are degraded first.

        Results go to `report`. `origin` is written into each output.
        """
        self._origin = origin
        self._restorer, self._masks, self._report, self._degrade = restorer, masks, report, degrade
        self._restoring = Restoring(restorer, tiling, batch_size=batch_size, advanced=report.advanced)

    def take(self, pair: Pair) -> None:
        """Reads a picture and adds its tiles to the waiting ones."""
        try:
            picture = read_picture(pair.source)
            mask, remarks = (None, ()) if self._masks is None else self._masks.of(picture, pair.name)
            picture = dataclasses.replace(picture, remarks=picture.remarks + remarks)
            if self._degrade:
                picture, mask = degraded(picture, self._restorer, pair.name)
        except PictureError as error:
            self._report.failed(pair, str(error))
            return
        try:
            check_fits(pair.target, picture, self._restorer.scale)  # before its tiles are computed
        except PictureError as error:
            self._report.failed(pair, f"{pair.target} cannot be written: {error}")
            return
        self._restoring.take(
            picture,
            mask,
            partial(self._write, pair, picture, mask),
            folder=pair.target.parent,
            refused=lambda error: self._report.failed(pair, str(error)),
        )

    def flush(self) -> None:
        """Finishes all pictures taken so far."""
        self._restoring.flush()

    def _write(self, pair: Pair, picture: Picture, mask: np.ndarray | None, restored: Picture) -> None:
        try:
            origin = None if self._origin is None else dataclasses.replace(self._origin, parent=pair.source)
            lost = write_picture(pair.target, restored, origin)
        except (PictureError, OSError, ValueError) as error:  # Pillow's encoders raise all of these
            self._report.failed(pair, f"{pair.target} cannot be written: {error}")
            return
        self._report.done(pair, seen(picture, mask), restored, picture.remarks + lost)


def seen(picture: Picture, mask: np.ndarray | None) -> Picture:
    """The picture as the network sees it: grey in the region to fill in."""
    if mask is None:
        return picture
    hidden = np.where(mask, picture.from_float(np.zeros(1, np.float32)), picture.pixels)
    return dataclasses.replace(picture, pixels=hidden)


def _room(shape: tuple[int, ...], dtype: np.dtype, folder: Path) -> np.ndarray:
    """An uninitialized array; a large one is mapped to an unnamed file in the folder, which disappears with it.

    Raises PictureError if the disk has no room for it.
    """
    if math.prod(shape) * dtype.itemsize <= IN_MEMORY:
        return np.empty(shape, dtype)
    size = math.prod(shape) * dtype.itemsize
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            reserve(file.fileno(), size)
            return np.memmap(file, dtype, "r+", shape=shape)
    except OSError as error:
        wanted = f"a picture of {shape[1]} x {shape[0]} needs {disks.size(size)} while it is computed"
        raise PictureError(f"{wanted}; {disks.explain(error, folder)}") from error


def reserve(file: int, size: int) -> None:
    """Sets a file's size and allocates its blocks. Raises OSError if the disk has no room.

    Writing to a mapped file without allocated blocks ends the process (SIGBUS) when the disk is full.
    """
    try:
        os.posix_fallocate(file, 0, size)
    except (AttributeError, OSError) as error:  # macOS lacks this call, and some file systems do not support it
        if isinstance(error, OSError) and error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
            raise
        for start in range(0, size, ZEROS):
            os.pwrite(file, bytes(min(ZEROS, size - start)), start)


def enlarged(alpha: np.ndarray, scale: int) -> np.ndarray:
    """Enlarges alpha `[H,W,1]` by bicubic interpolation."""
    size = (alpha.shape[1] * scale, alpha.shape[0] * scale)
    if alpha.dtype == np.uint8:
        return np.asarray(Image.fromarray(alpha[..., 0]).resize(size, Image.Resampling.BICUBIC))[..., None]
    values = Image.fromarray(alpha[..., 0].astype(np.float32)).resize(size, Image.Resampling.BICUBIC)
    return np.clip(np.rint(np.asarray(values)), 0, 65535).astype(alpha.dtype)[..., None]
