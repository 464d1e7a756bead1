"""Converts encoded pictures to uint8 `[H,W,C]`: first their channels, then their size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from PIL import Image

from jaxgan.errors import UserError
from jaxgan.media import reading
from jaxgan.media.levels import deep_grey
from jaxgan.media.reading import Picture, PictureError, Source

Fit = Literal["pad", "resize", "crop"]
MODES = {1: "L", 3: "RGB", 4: "RGBA"}


@dataclass(frozen=True)
class Framing:
    """Converts pictures to one shape: `channels`, then, with a `resolution`, to a square by `fit`.

    `pad` centres them on black, or on transparent pixels if there is alpha (larger pictures are first scaled down to
    fit); `resize` crops the central square and scales it; `crop` crops the centre (smaller pictures are first scaled
    up). Without a `resolution`, pictures with a side of more than `largest` pixels are scaled down to it. Scaling is
    antialiased: Lanczos down, bicubic up. Raises `UserError` for invalid values.
    """

    channels: int
    resolution: int | None = None
    fit: Fit = "resize"
    largest: int | None = None

    def __post_init__(self) -> None:
        check_framing(self.channels, self.resolution, self.fit)

    def __call__(self, image: Image.Image) -> np.ndarray:
        """The picture as uint8 `[H,W,C]`."""
        image = to_channels(image, self.channels)
        if self.resolution is not None:
            image = fit_square(image, self.resolution, self.fit)
        elif self.largest is not None and max(image.size) > self.largest:
            width, height = (max(1, round(side * self.largest / max(image.size))) for side in image.size)
            image = _scale(image, width, height)
        array = np.asarray(image)
        return array[..., None] if self.channels == 1 else array


def check_framing(channels: int | None, resolution: int | None, fit: str) -> None:
    """Raises `UserError` for invalid channels, resolution or fit."""
    if channels is not None and channels not in MODES:
        raise UserError(f"config.data.channels: got {channels}, expected 1 (grey), 3 (RGB) or 4 (RGBA)")
    if resolution is not None and resolution < 1:
        raise UserError(f"config.data.resolution: got {resolution}, expected 1 or more pixels")
    if fit not in get_args(Fit):
        raise UserError(f"config.data.fit: got {fit!r}, expected one of {', '.join(get_args(Fit))}")


def open_image(data: bytes | np.ndarray) -> Image.Image:
    """An encoded picture, or an array `[H,W,C]`, as a Pillow image. Raises UserError for other data."""
    if isinstance(data, np.ndarray):
        return Image.fromarray(data[..., 0] if data.ndim == 3 and data.shape[-1] == 1 else data)
    return read_image(data)


def read_image(source: Source, name: str = "a picture of the data set") -> Image.Image:
    """The picture in a file, with 8 bits per channel; see `jaxgan.media.reading.read_image`. Raises UserError."""
    try:
        return reading.read_image(source)
    except PictureError as error:
        raise UserError(f"{name} cannot be read as a picture: {error}") from error


def to_channels(image: Image.Image, channels: int) -> Image.Image:
    """The picture with 1, 3 or 4 channels of 8 bits. Transparent parts are laid on white unless 4 are requested."""
    if image.mode == MODES[channels] and "transparency" not in image.info:
        return image
    if image.mode.startswith(("I", "F")):
        try:
            values, span = deep_grey(image, False, [])
        except ValueError as error:
            raise UserError(f"a picture of the data set cannot be read: {error}") from error
        image = Picture(values, span=span).to_image()
    if channels == 4:
        return image.convert("RGBA")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, rgba)
    if channels == 1 and image.mode not in ("1", "L", "RGB"):
        image = image.convert("RGB")  # Pillow cannot convert CMYK and Lab to grey directly
    return image.convert(MODES[channels])


def fit_square(image: Image.Image, resolution: int, fit: Fit) -> Image.Image:
    """The picture as a square of `resolution` pixels (see `Framing`)."""
    width, height = image.size
    if (width, height) == (resolution, resolution):
        return image
    if fit == "resize":
        side = min(width, height)
        return _scale(_centre(image, side, side), resolution, resolution)
    if fit == "pad":
        scale = min(1.0, resolution / max(width, height))
    else:
        scale = max(1.0, resolution / min(width, height))
    if scale != 1.0:
        image = _scale(image, max(1, round(width * scale)), max(1, round(height * scale)))
    return _centre(image, resolution, resolution)


def _centre(image: Image.Image, width: int, height: int) -> Image.Image:
    """The central window of the picture, padded with zeros (black or transparent) if the window is larger."""
    if image.size == (width, height):
        return image
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def _scale(image: Image.Image, width: int, height: int) -> Image.Image:
    down = width < image.width or height < image.height
    filter_ = Image.Resampling.LANCZOS if down else Image.Resampling.BICUBIC
    return image if image.size == (width, height) else image.resize((width, height), filter_)
