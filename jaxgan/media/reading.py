"""Any still image that a person has, as arrays: upright, with what has to be kept of it."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

MAX_PIXELS = 2**28  # of one picture: a small file can unpack to more than any memory
GREY_MODES = ("1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N")
DRAWINGS = ("EPS", "WMF", "EMF", "PDF")  # Pillow would run other programs to draw them
ORIENTATION, BITS_PER_SAMPLE = 0x0112, 258  # tags
# of a TIFF's tags, those that tell of the picture and not of how the file is laid out
TIFF_KEPT = (270, 271, 272, 282, 283, 296, 305, 306, 315, 33432, 34665, 34853)

# Pillow reads 16-bit colour as the high bytes of each sample. The raw mode of the other byte order has the low ones.
_NATIVE_LOW = "B" if sys.byteorder == "little" else "L"
LOW_BYTES = {
    f"{mode};16{order}": f"{mode};16{other}"
    for mode in ("RGB", "RGBA", "RGBX")
    for order, other in (("B", "L"), ("L", "B"), ("N", _NATIVE_LOW))
}
GREY_ALPHA, FOUR_BYTES = "LA;16B", "RGBA"  # grey with alpha, 16 bits: has as many bytes a pixel as 8-bit RGBA


class PictureError(Exception):
    """Why a file cannot be read, or written, as a picture."""


@dataclasses.dataclass(frozen=True, eq=False)
class Picture:
    """A picture, upright."""

    pixels: np.ndarray  # [H,W,1] grey or [H,W,3] colour: uint8, uint16 or float32
    alpha: np.ndarray | None = None  # [H,W,1], of the pixels' type
    span: tuple[float, float] = (0.0, 255.0)  # the values of black and white
    format: str = "PNG"  # of the file, as Pillow calls it
    icc: bytes | None = None  # the colour profile
    exif: bytes | None = None  # without a turn
    remarks: tuple[str, ...] = ()  # what was done that its owner may not expect

    @property
    def height(self) -> int:
        """In pixels."""
        return self.pixels.shape[0]

    @property
    def width(self) -> int:
        """In pixels."""
        return self.pixels.shape[1]

    @property
    def channels(self) -> int:
        """1: grey, 3: colour."""
        return self.pixels.shape[2]

    def to_float(self, values: np.ndarray) -> np.ndarray:
        """Values of this picture's pixels as float32 in [-1, 1]."""
        black, white = self.span
        return (values.astype(np.float32) - np.float32(black)) * np.float32(2.0 / (white - black)) - np.float32(1.0)

    def from_float(self, values: np.ndarray) -> np.ndarray:
        """Float32 in [-1, 1] (what lies outside is clipped) as values of this picture's pixels."""
        black, white = self.span
        values = np.clip(values, -1.0, 1.0)
        values = np.where(np.isnan(values), np.float32(0.0), values) if np.isnan(values).any() else values
        shares = (values + np.float32(1.0)) * np.float32(0.5)
        levels = shares * np.float32(white - black) + np.float32(black)
        return (levels if self.pixels.dtype == np.float32 else np.rint(levels)).astype(self.pixels.dtype)

    def eight_bits(self) -> Picture:
        """The same picture in 8 bits."""
        if self.pixels.dtype == np.uint8:
            return self
        alpha = None if self.alpha is None else _to_uint8(self.alpha, self.span)
        return dataclasses.replace(self, pixels=_to_uint8(self.pixels, self.span), alpha=alpha, span=(0.0, 255.0))

    def to_image(self) -> Image.Image:
        """As a Pillow image of 8 bits: L, LA, RGB or RGBA."""
        small = self.eight_bits()
        samples = small.pixels if small.alpha is None else np.concatenate([small.pixels, small.alpha], axis=2)
        return Image.fromarray(np.ascontiguousarray(samples[..., 0] if samples.shape[2] == 1 else samples))


def read_picture(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Reads an image file, of several pictures the first.

    Grey and colour of 8 and 16 bits and grey floats stay what they are; 1 bit becomes 8-bit grey; palettes, CMYK
    (through its profile if it has one), YCbCr and Lab become RGB. Transparency of any kind becomes alpha. The turn that
    EXIF asks for is made. Raises PictureError for what is no picture, damaged, cut off, or of more than `max_pixels`.
    """
    try:
        with opened(path, max_pixels=max_pixels) as image:
            return _read(image, path, max_pixels)
    except PictureError:
        raise
    except Exception as error:  # Pillow's decoders raise what they like on broken data
        raise PictureError(_reason(error)) from error


@contextlib.contextmanager
def opened(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> Iterator[Image.Image]:
    """The file as Pillow opens it, not decoded yet, with our own limit to its size.

    Raises PictureError for more than `max_pixels` and for drawings, and whatever Pillow raises.
    """
    with _pillow_without_limit, Image.open(path) as image:
        if image.format in DRAWINGS:
            raise PictureError(f"{image.format} holds a drawing, accepted are pictures made of pixels")
        if image.width * image.height > max_pixels:
            size = f"{image.width} x {image.height}"
            raise PictureError(f"it has {size} pixels, accepted are at most {max_pixels:,} in all")
        yield image


def stored_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Height and width as the file's head has them, before any turn. Raises PictureError where there is none."""
    try:
        with opened(path, max_pixels=sys.maxsize) as image:
            return image.height, image.width
    except PictureError:
        raise
    except Exception as error:
        raise PictureError(_reason(error)) from error


def oddities(image: Image.Image) -> tuple[str, ...]:
    """What there is to say about reading an image that is opened and not yet decoded."""
    told = []
    if getattr(image, "is_animated", False) and image.format != "MPO":  # the further ones of MPO are views of the first
        told.append(f"the first of {getattr(image, 'n_frames', 1)} pictures")
    if image.mode in ("P", "PA"):
        told.append("a palette, read as colours")
    elif image.mode == "CMYK":
        how = "by its profile" if image.info.get("icc_profile") else "by the simple rule, for it has no profile"
        told.append(f"CMYK, read as RGB {how}")
    elif image.mode == "1":
        told.append("1 bit, read as grey")
    elif image.mode in ("YCbCr", "LAB", "HSV"):
        told.append(f"{image.mode}, read as RGB")
    if any(";16" in mode and mode not in LOW_BYTES and mode != GREY_ALPHA for mode in _colour_rawmodes(image)):
        told.append("16 bits that can only be read as 8")
    return tuple(told)


def is_deep(image: Image.Image) -> bool:
    """Whether an opened image has more than 8 bits a sample."""
    return image.mode.startswith(("I", "F")) or any(";16" in mode for mode in _colour_rawmodes(image))


def is_grey(image: Image.Image) -> bool:
    """Whether an opened image is grey."""
    return image.mode in GREY_MODES or _colour_rawmodes(image) == {GREY_ALPHA}


def _read(image: Image.Image, path: str | os.PathLike[str], max_pixels: int) -> Picture:
    remarks, rawmodes = list(oddities(image)), _colour_rawmodes(image)
    kind = image.format or ""
    image.load()
    icc = image.info.get("icc_profile") or None
    if rawmodes == {GREY_ALPHA} or (rawmodes and rawmodes <= LOW_BYTES.keys()):
        pixels, alpha = _wide(image, path, rawmodes, max_pixels)
    elif image.mode.startswith(("I", "F")):
        pixels, alpha = _deep_grey(image)
    else:
        foreign = image.mode in ("CMYK", "LAB", "YCbCr", "HSV")
        pixels, alpha = _eight(_to_rgb(image, icc) if foreign else image)
        icc = None if foreign else icc
    exif, orientation = _exif(image, kind, remarks)
    if image.info.get("xmp"):  # it tells of the file as it is: its edits, its identifier, what made it
        remarks.append("its XMP is not kept")
    span = (0.0, 255.0) if pixels.dtype == np.uint8 else (0.0, 65535.0)
    if pixels.dtype == np.float32:
        pixels, span = _finite(pixels, remarks)
    alpha = None if alpha is None else _upright(alpha, orientation)
    return Picture(
        _upright(pixels, orientation), alpha, span, "JPEG" if kind == "MPO" else kind, icc, exif, tuple(remarks)
    )


def _colour_rawmodes(image: Image.Image) -> set[str]:
    """How the samples of an opened colour image lie in its file, in Pillow's words."""
    if image.mode not in ("RGB", "RGBA", "CMYK"):
        return set()
    arguments = [tile[3] for tile in getattr(image, "tile", ())]
    modes = [each[0] if isinstance(each, tuple) and each else each for each in arguments]
    return {mode for mode in modes if isinstance(mode, str)}


def _wide(
    image: Image.Image, path: str | os.PathLike[str], rawmodes: set[str], max_pixels: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Colour, or grey with alpha, of 16 bits: the file is decoded again for its low bytes."""

    def low(arguments: Any) -> Any:
        mode, *rest = arguments if isinstance(arguments, tuple) else (arguments,)
        swapped = FOUR_BYTES if mode == GREY_ALPHA else LOW_BYTES[mode]
        return (swapped, *rest) if isinstance(arguments, tuple) else swapped

    with opened(path, max_pixels=max_pixels) as again:
        tiles: Any = again
        tiles.tile = [tile._replace(args=low(tile.args)) for tile in tiles.tile]
        again.load()
        lower = np.asarray(again)
    if rawmodes == {GREY_ALPHA}:
        samples = lower[..., 0::2].astype(np.uint16) << 8 | lower[..., 1::2]
        return samples[..., :1], samples[..., 1:]
    samples = np.asarray(image).astype(np.uint16) << 8 | lower
    return samples[..., :3], samples[..., 3:] if samples.shape[2] == 4 else _keyed(samples, image)


def _deep_grey(image: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """Grey of 12, 16 or 32 bits, or of floats: uint8 or uint16 where the values are, else float32."""
    values = np.asarray(image)[..., None]
    if image.mode == "F":
        return values.astype(np.float32), None
    if image.mode == "I":
        low, high = values.min(), values.max()
        if low < 0 or high > 65535:
            return values.astype(np.float32), None
        values = values.astype(np.uint8 if high <= 255 else np.uint16)
        return values, None
    values = values.astype(np.uint16)
    if getattr(image, "tag_v2", {}).get(BITS_PER_SAMPLE) == (12,):
        values = np.rint(values * (65535 / 4095)).astype(np.uint16)
    return values, _keyed(values, image)


def _keyed(samples: np.ndarray, image: Image.Image) -> np.ndarray | None:
    """The alpha of 16-bit samples of which one value stands for transparency; None where there is no such value."""
    key = image.info.get("transparency")
    if key is None:
        return None
    return np.where((samples == np.asarray(key)).all(axis=2, keepdims=True), 0, 65535).astype(np.uint16)


def _eight(image: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    if image.has_transparency_data:
        samples = np.asarray(image.convert("LA" if image.mode in GREY_MODES else "RGBA"))
        return samples[..., :-1], samples[..., -1:]
    if image.mode in GREY_MODES:
        return np.asarray(image.convert("L"))[..., None], None
    return np.asarray(image.convert("RGB")), None


def _to_rgb(image: Image.Image, icc: bytes | None) -> Image.Image:
    """CMYK, Lab, YCbCr or HSV as sRGB, by the profile where there is one that fits."""
    if image.mode in ("YCbCr", "HSV") or (image.mode == "CMYK" and not icc):
        return image.convert("RGB")
    from PIL import ImageCms

    try:
        source: Any = ImageCms.createProfile("LAB") if image.mode == "LAB" else io.BytesIO(icc or b"")
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, ImportError, OSError):
        if image.mode == "LAB":
            raise
        return image.convert("RGB")  # a profile that is broken, or of other colours
    assert converted is not None
    return converted


def _exif(image: Image.Image, kind: str, remarks: list[str]) -> tuple[bytes | None, int]:
    """What EXIF says besides the turn, and the turn (1: none) that decoding has not made yet."""
    try:
        exif = image.getexif()
        orientation = exif.get(ORIENTATION, 1)
        if ORIENTATION in exif:
            exif[ORIENTATION] = 1
        if kind == "TIFF":
            for tag in [tag for tag in exif if tag not in TIFF_KEPT]:
                del exif[tag]
        return (exif.tobytes() if len(exif) else None), orientation
    except Exception:  # cameras and editors write what they like
        remarks.append("its EXIF cannot be read and is left out")
        return None, 1


def _finite(values: np.ndarray, remarks: list[str]) -> tuple[np.ndarray, tuple[float, float]]:
    """Floats without NaN and infinity, and what black and white are among them."""
    if not np.isfinite(values).all():
        remarks.append("values that are not finite, read as black")
        values = np.where(np.isfinite(values), values, np.float32(0))
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= 255:
        return values, (0.0, 1.0 if high <= 1 else 255.0)
    remarks.append(f"values from {low:g} to {high:g}, taken as black and white")
    return values, (low, high if high > low else low + 1.0)


def _upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """The array `[H,W,C]` turned and mirrored as an EXIF orientation asks for."""
    if orientation in (5, 6, 7, 8):  # lies on its side
        array = array.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return np.ascontiguousarray(array)


def _to_uint8(values: np.ndarray, span: tuple[float, float]) -> np.ndarray:
    shares = (values.astype(np.float32) - np.float32(span[0])) / np.float32(span[1] - span[0])
    return np.rint(np.clip(shares, 0.0, 1.0) * np.float32(255.0)).astype(np.uint8)


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "it is no image of a format that is known"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, MemoryError):
        return "there is not enough memory for it"
    return str(error) or type(error).__name__


class _WithoutLimit:
    """While anyone is inside, Pillow's own limit to sizes, a global that warns or raises, is off."""

    def __init__(self) -> None:
        self._lock, self._inside, self._limit = threading.Lock(), 0, Image.MAX_IMAGE_PIXELS

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                Image.MAX_IMAGE_PIXELS = self._limit


_pillow_without_limit = _WithoutLimit()
