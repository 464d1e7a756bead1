"""From pictures as they are read to restored ones as they are written."""

from __future__ import annotations

import dataclasses
import math
import tempfile
import zlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from jaxgan.commands.files import Pair
from jaxgan.media.provenance import Origin
from jaxgan.media.reading import Picture, PictureError, read_picture
from jaxgan.media.writing import write_picture
from jaxgan.restorer import Restorer
from jaxgan.tiling import Batches, Mosaic, Tiling, continued

IN_MEMORY = 2**30  # bytes of an output at most
LOSSY = ("JPEG", "WEBP")
NEAR, EXACT = 16 / 255, 1e-6  # of black to white: how far a colour can be off in a lossy file, and in others


class Masks(NamedTuple):
    """Where to fill in: white in a picture or in a folder's picture of the same name, or a colour."""

    path: Path | None
    color: tuple[int, int, int] | None = None  # of 255

    def of(self, picture: Picture, source: Path) -> np.ndarray:
        """The mask of a picture: bool `[H,W,1]`. Raises PictureError where there is none, or one of another size."""
        if self.color is not None:
            return _colored(picture, self.color)
        assert self.path is not None
        path = self.path
        if path.is_dir():
            found = sorted(each for each in path.iterdir() if each.stem == source.stem and each.is_file())
            if not found:
                raise PictureError(f"there is no mask of its name in {path}")
            path = found[0]
        try:
            drawn = read_picture(path).eight_bits()
        except PictureError as error:
            raise PictureError(f"its mask {path} cannot be used: {error}") from None
        if drawn.pixels.shape[:2] != picture.pixels.shape[:2]:
            sizes = [f"{each.width} x {each.height}" for each in (drawn, picture)]
            raise PictureError(f"its mask {path} has {sizes[0]} pixels, accepted are its own {sizes[1]}")
        return drawn.pixels.max(axis=2, keepdims=True) > 127


def degraded(picture: Picture, restorer: Restorer, name: str) -> tuple[Picture, np.ndarray | None]:
    """What a network has been trained to restore, made of a clean picture: its condition, and the mask `[H,W,1]`.

    The name chooses the noise. Rows and columns beyond a multiple of the scale are left out. Raises PictureError for
    pictures smaller than the scale.
    """
    assert restorer.degrade is not None
    scale = restorer.scale
    height, width = picture.height // scale * scale, picture.width // scale * scale
    if not height or not width:
        raise PictureError(f"it has less than {scale} pixels along a side")
    key = jax.random.fold_in(jax.random.key(0), zlib.crc32(name.encode()))
    clean = jnp.asarray(picture.to_float(picture.pixels[None, :height, :width]))
    condition = np.asarray(restorer.degrade(key, clean))[0]
    condition, mask = (condition[..., :-1], condition[..., -1:] > 0.5) if restorer.masks else (condition, None)
    alpha = None if picture.alpha is None else picture.alpha[:height:scale, :width:scale]
    icc = picture.icc if condition.shape[2] == picture.channels else None
    return dataclasses.replace(picture, pixels=picture.from_float(condition), alpha=alpha, icc=icc), mask


class Report(Protocol):
    """Who wants to know what becomes of the pictures."""

    def done(self, pair: Pair, before: Picture, after: Picture, remarks: Sequence[str]) -> None:
        """One was read and written."""
        ...

    def failed(self, pair: Pair, why: str) -> None:
        """One could not be read, or written."""
        ...

    def advanced(self) -> None:
        """One more tile is computed."""
        ...


@dataclasses.dataclass
class Job:
    """A picture while it is restored."""

    pair: Pair
    picture: Picture
    mask: np.ndarray | None
    height: int  # of the output
    width: int
    pixels: np.ndarray | None = None  # of the output, as far as they are known


class Workshop:
    """Takes pictures, runs their tiles in batches, and writes each as soon as it is whole."""

    def __init__(
        self,
        restorer: Restorer,
        tiling: Tiling,
        *,
        batch_size: int | None,
        masks: Masks | None,
        degrade: bool,
        report: Report,
        origin: Origin | None = None,
    ):
        """`masks`: for a restorer that wants them; `degrade`: pictures are clean, and their conditions are made first.

        What becomes of the pictures goes to the report. `origin`: what restores them, which is written into each.
        """
        self._origin = origin
        self._restorer, self._tiling, self._masks, self._report = restorer, tiling, masks, report
        self._degrade = degrade
        self._batches = Batches(restorer, pixels=tiling.tile**2, batch_size=batch_size)

    def take(self, pair: Pair) -> None:
        """Reads a picture and adds its tiles to those that wait."""
        try:
            picture = read_picture(pair.source)
            mask = None if self._masks is None else self._masks.of(picture, pair.source)
            if self._degrade:
                picture, mask = degraded(picture, self._restorer, pair.name)
        except PictureError as error:
            self._report.failed(pair, str(error))
            return
        scale = self._restorer.scale
        rows, columns = self._tiling.cut(picture.height), self._tiling.cut(picture.width)
        job = Job(pair, picture, mask, picture.height * scale, picture.width * scale)
        mosaic = Mosaic(rows, columns, scale=scale, keep=partial(self._keep, job))
        for place in mosaic.places():
            tile = picture.to_float(continued(picture.pixels, *place))
            if mask is not None:
                tile = np.concatenate([tile, continued(mask, *place).astype(np.float32)], axis=2)
            self._batches.add(tile, partial(self._put, mosaic))

    def flush(self) -> None:
        """Finishes all that was taken."""
        self._batches.flush()

    def _put(self, mosaic: Mosaic, values: np.ndarray) -> None:
        mosaic.put(values)
        self._report.advanced()

    def _keep(self, job: Job, top: int, values: np.ndarray) -> None:
        part = values[: job.height - top, : job.width]
        if job.pixels is None:
            shape = (job.height, job.width, part.shape[2])
            job.pixels = _room(shape, job.picture.pixels.dtype, job.pair.target.parent)
        job.pixels[top : top + len(part)] = job.picture.from_float(part)
        if top + len(part) == job.height:
            self._finish(job)

    def _finish(self, job: Job) -> None:
        picture, pixels, scale = job.picture, job.pixels, self._restorer.scale
        assert pixels is not None
        if job.mask is not None and pixels.shape == picture.pixels.shape:
            np.copyto(pixels, picture.pixels, where=~job.mask)  # what is known stays as it is, to the bit
        alpha = picture.alpha if picture.alpha is None or scale == 1 else _enlarged(picture.alpha, scale)
        icc = picture.icc if pixels.shape[2] == picture.channels else None  # a profile of grey fits no colours
        restored = dataclasses.replace(picture, pixels=pixels, alpha=alpha, icc=icc, remarks=())
        try:
            origin = None if self._origin is None else dataclasses.replace(self._origin, parent=job.pair.source)
            lost = write_picture(job.pair.target, restored, origin)
        except (PictureError, OSError, ValueError) as error:  # Pillow's encoders raise all of these
            self._report.failed(job.pair, f"{job.pair.target} cannot be written: {error}")
            return
        if job.mask is not None:  # what the network has seen
            hidden = np.where(job.mask, picture.from_float(np.zeros(1, np.float32)), picture.pixels)
            picture = dataclasses.replace(picture, pixels=hidden)
        self._report.done(job.pair, picture, restored, picture.remarks + lost)


def _colored(picture: Picture, color: tuple[int, int, int]) -> np.ndarray:
    """Where a picture has a colour, in lossy files about."""
    black, white = picture.span
    off = (NEAR if picture.format in LOSSY else EXACT) * (white - black)
    found = np.ones((picture.height, picture.width), bool)
    for channel, level in enumerate(color):
        values, wanted = picture.pixels[..., min(channel, picture.channels - 1)], black + level / 255 * (white - black)
        found &= (values >= wanted - off) & (values <= wanted + off)
    return found[..., None]


def _room(shape: tuple[int, ...], dtype: np.dtype, folder: Path) -> np.ndarray:
    """An array to be filled; a large one lies in a file of the folder that has no name and goes with it."""
    if math.prod(shape) * dtype.itemsize <= IN_MEMORY:
        return np.empty(shape, dtype)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        return np.memmap(file, dtype, "w+", shape=shape)


def _enlarged(alpha: np.ndarray, scale: int) -> np.ndarray:
    """Alpha `[H,W,1]` by bicubic interpolation."""
    size = (alpha.shape[1] * scale, alpha.shape[0] * scale)
    if alpha.dtype == np.uint8:
        return np.asarray(Image.fromarray(alpha[..., 0]).resize(size, Image.Resampling.BICUBIC))[..., None]
    values = Image.fromarray(alpha[..., 0].astype(np.float32)).resize(size, Image.Resampling.BICUBIC)
    return np.clip(np.rint(np.asarray(values)), 0, 65535).astype(alpha.dtype)[..., None]
