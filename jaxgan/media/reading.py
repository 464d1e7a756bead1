"""Reads still images of any format as upright arrays, with the metadata that has to be kept.

Pillow decodes the files, but Pillow 13 still reduces 16-bit colour to 8 bits, so such files are decoded twice, once for
each byte of a sample; PyAV is optional and does not return colour profiles and EXIF, and tifffile and imageio are not
dependencies. Pillow leaves to its callers the conversion of palettes, CMYK and Lab to RGB, the levels of deep grey, the
EXIF turn of 16-bit arrays (`ImageOps.exif_transpose` takes its own images only), and checks of incomplete files.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from jaxgan.media import levels, portable
from jaxgan.media.turns import ORIENTATION, orientation_of, upright, upright_size

Source = str | os.PathLike[str] | bytes  # a file's path, or its content
MAX_PIXELS = 2**28  # of one picture: a small file can expand to more than the memory holds
GREY_MODES = ("1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N")
USUAL = ("JPEG", "PNG", "WEBP")  # formats whose 8-bit pictures without alpha Pillow decodes as we want them
DRAWINGS = ("EPS", "WMF", "EMF", "PDF")  # Pillow would run other programs to render them
# TIFF tags that describe the picture rather than the layout of the file
TIFF_KEPT = (270, 271, 272, 282, 283, 296, 305, 306, 315, 33432, 34665, 34853)

# Pillow reads only the high byte of each 16-bit colour sample. The raw mode of the other byte order gives the low byte.
_NATIVE_LOW = "B" if sys.byteorder == "little" else "L"
LOW_BYTES = {
    f"{mode};16{order}": f"{mode};16{other}"
    for mode in ("RGB", "RGBA", "RGBX")
    for order, other in (("B", "L"), ("L", "B"), ("N", _NATIVE_LOW))
}
SIZES_OF_JPEG_2000, BITS_OF_JPEG_2000 = b"\xff\x4f\xff\x51", 42  # a codestream's start, and the offset of its depth
GREY_ALPHA, FOUR_BYTES = "LA;16B", "RGBA"  # 16-bit grey with alpha has as many bytes per pixel as 8-bit RGBA


class PictureError(Exception):
    """A file that cannot be read or written as a picture; the message is the reason."""


@dataclasses.dataclass(frozen=True, eq=False)
class Picture:
    """An upright picture."""

    pixels: np.ndarray  # [H,W,1] grey or [H,W,3] colour: uint8, uint16 or float32
    alpha: np.ndarray | None = None  # [H,W,1], of the same type as the pixels
    span: tuple[float, float] = (0.0, 255.0)  # the values of black and white
    format: str = "PNG"  # Pillow's name of the file's format
    icc: bytes | None = None  # the colour profile
    exif: bytes | None = None  # with the orientation reset to upright
    remarks: tuple[str, ...] = ()  # conversions that the user may not expect

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
        """Converts values of this picture's pixels to float32 in [-1, 1]."""
        black, white = self.span
        return (values.astype(np.float32) - np.float32(black)) * np.float32(2.0 / (white - black)) - np.float32(1.0)

    def from_float(self, values: np.ndarray) -> np.ndarray:
        """Converts float32 in [-1, 1] (clipped) to values of this picture's pixels."""
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
        """The picture as an 8-bit Pillow image: L, LA, RGB or RGBA."""
        small = self.eight_bits()
        samples = small.pixels if small.alpha is None else np.concatenate([small.pixels, small.alpha], axis=2)
        return Image.fromarray(np.ascontiguousarray(samples[..., 0] if samples.shape[2] == 1 else samples))


def read_picture(source: Source, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Reads the first picture of an image file. All commands and data sources read pictures with this function.

    Grey and colour of 8 and 16 bits and grey floats keep their type (for their black and white see
    `jaxgan.media.levels`); 1 bit becomes 8-bit grey; palettes, CMYK (by its profile if there is one), YCbCr and Lab
    become RGB. Transparency of any kind becomes alpha. The EXIF orientation is applied. Raises PictureError for a file
    that is not a picture, is damaged or cut off, or has more than `max_pixels`.
    """
    try:
        with opened(source, max_pixels=max_pixels) as image:
            return _read(image, source, max_pixels)
    except PictureError:
        raise
    except Exception as error:  # Pillow's decoders raise any exception on broken data
        raise PictureError(_reason(error)) from error


def read_image(source: Source, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Like `read_picture(source).to_image()`, without a copy if Pillow decodes the same. Raises PictureError."""
    try:
        with opened(source, max_pixels=max_pixels) as image:
            usual = image.format in USUAL and image.mode in ("L", "RGB") and "transparency" not in image.info
            if usual and not is_deep(image):
                image.load()
                if not image.info or orientation_of(image) == 1:  # Pillow keeps any orientation in `info`
                    return image
            return _read(image, source, max_pixels).to_image()
    except PictureError:
        raise
    except Exception as error:  # as above
        raise PictureError(_reason(error)) from error


@contextlib.contextmanager
def opened(source: Source, *, max_pixels: int = MAX_PIXELS) -> Iterator[ImageFile]:
    """Opens a file with Pillow without decoding it, under our own size limit.

    Raises PictureError for more than `max_pixels` and for drawings, and anything that Pillow raises.
    """
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    with _pillow_without_limit, Image.open(file) as image:
        if image.format in DRAWINGS:
            raise PictureError(f"got a drawing ({image.format}), expected a picture made of pixels")
        if image.width * image.height > max_pixels:
            size = f"{image.width} x {image.height}"
            raise PictureError(f"it has {size} pixels, expected at most {max_pixels:,} in all")
        yield image


def stored_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Height and width after the EXIF turn, from the file's header. Raises PictureError if it cannot be read."""
    try:
        with opened(path, max_pixels=sys.maxsize) as image:
            return upright_size(image)
    except PictureError:
        raise
    except Exception as error:
        raise PictureError(_reason(error)) from error


def oddities(image: ImageFile) -> tuple[str, ...]:
    """Remarks on the conversions that reading an opened, undecoded image will make."""
    remarks = []
    if getattr(image, "is_animated", False) and image.format != "MPO":  # further pictures of MPO are views of the first
        remarks.append(f"the first of {getattr(image, 'n_frames', 1)} pictures")
    if image.mode in ("P", "PA"):
        remarks.append("a palette, read as colours")
    elif image.mode == "CMYK":
        how = "by its profile" if image.info.get("icc_profile") else "by the simple rule, for it has no profile"
        remarks.append(f"CMYK, read as RGB {how}")
    elif image.mode == "1":
        remarks.append("1 bit, read as grey")
    elif image.mode in ("YCbCr", "LAB", "HSV"):
        remarks.append(f"{image.mode}, read as RGB")
    if any(";16" in mode and mode not in LOW_BYTES and mode != GREY_ALPHA for mode in _colour_rawmodes(image)):
        remarks.append("16 bits that can only be read as 8")
    elif image.mode not in GREY_MODES and (bits := _jpeg_2000_bits(image)) > 8:
        remarks.append(f"{bits} bits that can only be read as 8")
    return tuple(remarks)


def is_deep(image: ImageFile) -> bool:
    """Whether an opened image has more than 8 bits per sample."""
    deep = levels.is_deep_grey(image) or any(";16" in mode for mode in _colour_rawmodes(image))
    return deep or (portable.maxval(image) or 0) > 255 or _jpeg_2000_bits(image) > 8


def is_grey(image: ImageFile) -> bool:
    """Whether an opened image is grey."""
    return image.mode in GREY_MODES or _colour_rawmodes(image) == {GREY_ALPHA}


def _read(image: ImageFile, source: Source, max_pixels: int) -> Picture:
    remarks, rawmodes, short = list(oddities(image)), _colour_rawmodes(image), levels.is_short(image)
    kind = image.format or ""
    _check_layout(image, rawmodes)
    white = portable.maxval(image)
    samples = None if white is None else portable.read_samples(image, remarks)
    if samples is None:
        image.load()
    icc, alpha, span = image.info.get("icc_profile") or None, None, None
    if samples is not None:
        pixels = samples
    elif rawmodes == {GREY_ALPHA} or (rawmodes and rawmodes <= LOW_BYTES.keys()):
        pixels, alpha = _wide(image, source, rawmodes, max_pixels)
    elif levels.is_deep_grey(image):
        pixels, span = levels.deep_grey(image, short, remarks)
        alpha = _keyed(pixels, image) if image.mode not in levels.UNTOLD else None
    else:
        foreign = image.mode in ("CMYK", "LAB", "YCbCr", "HSV")
        pixels, alpha = _eight(_to_rgb(image, icc) if foreign else image)
        pixels, icc = levels.signed_bytes(pixels, image, remarks), None if foreign else icc
    exif, orientation = _exif(image, kind, remarks)
    if image.info.get("xmp"):  # it describes this file: its edits, its identifier, its origin
        remarks.append("its XMP is not kept")
    span = span or (0.0, float(np.iinfo(pixels.dtype).max))
    alpha = None if alpha is None else upright(alpha, orientation)
    return Picture(
        upright(pixels, orientation), alpha, span, "JPEG" if kind == "MPO" else kind, icc, exif, tuple(remarks)
    )


def _check_layout(image: ImageFile, rawmodes: set[str]) -> None:
    """Raises PictureError for a TIFF that lacks pixels, and for planes of over 8 bits, which Pillow reads as noise."""
    extents = [tile.extents for tile in image.tile if tile.extents] if image.format == "TIFF" else []
    covered = sum((right - left) * (bottom - top) for left, top, right, bottom in extents)
    if extents and covered < image.width * image.height:
        raise PictureError(f"it is damaged: it holds {covered:,} of its {image.width * image.height:,} pixels")
    bits = getattr(image, "tag_v2", {}).get(levels.BITS_PER_SAMPLE, (8,))
    if max(bits) > 8 and rawmodes and not any(";16" in mode for mode in rawmodes):
        raise PictureError(f"got colours of {max(bits)} bits in separate planes, expected interleaved samples")


def _colour_rawmodes(image: ImageFile) -> set[str]:
    """Pillow's raw modes of an opened colour image: the layouts of its samples in the file."""
    if image.mode not in ("RGB", "RGBA", "CMYK"):
        return set()
    arguments = [tile[3] for tile in getattr(image, "tile", ())]
    modes = [each[0] if isinstance(each, tuple) and each else each for each in arguments]
    return {mode for mode in modes if isinstance(mode, str)}


def _jpeg_2000_bits(image: ImageFile) -> int:
    """The bits of the first sample in an opened JPEG 2000; 8 for other formats."""
    if image.format != "JPEG2000" or image.fp is None:
        return 8
    place = image.fp.tell()
    image.fp.seek(0)
    head = image.fp.read(2**16)
    image.fp.seek(place)
    start = head.find(SIZES_OF_JPEG_2000)
    depth = head[start + BITS_OF_JPEG_2000 :][:1] if start >= 0 else b""
    return (depth[0] & 0x7F) + 1 if depth else 8


def _wide(
    image: Image.Image, source: Source, rawmodes: set[str], max_pixels: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """16-bit colour, or grey with alpha; the file is decoded a second time for the low bytes."""

    def low(arguments: Any) -> Any:  # of one of Pillow's tiles: a raw mode, or a tuple that begins with one
        mode, *rest = arguments if isinstance(arguments, tuple) else (arguments,)
        swapped = FOUR_BYTES if mode == GREY_ALPHA else LOW_BYTES[mode]
        return (swapped, *rest) if isinstance(arguments, tuple) else swapped

    with opened(source, max_pixels=max_pixels) as again:
        tiles: Any = again
        tiles.tile = [tile._replace(args=low(tile.args)) for tile in tiles.tile]
        again.load()
        lower = np.asarray(again)
    if rawmodes == {GREY_ALPHA}:
        samples = lower[..., 0::2].astype(np.uint16) << 8 | lower[..., 1::2]
        return samples[..., :1], samples[..., 1:]
    samples = np.asarray(image).astype(np.uint16) << 8 | lower
    return samples[..., :3], samples[..., 3:] if samples.shape[2] == 4 else _keyed(samples, image)


def _keyed(samples: np.ndarray, image: Image.Image) -> np.ndarray | None:
    """The alpha of 16-bit samples in which one value means transparent; None if there is no such value."""
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
    """CMYK, Lab, YCbCr or HSV as sRGB, by the profile if there is one that fits."""
    if image.mode in ("YCbCr", "HSV") or (image.mode == "CMYK" and not icc):
        return image.convert("RGB")
    from PIL import ImageCms

    try:
        source: Any = ImageCms.createProfile("LAB") if image.mode == "LAB" else io.BytesIO(icc or b"")
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, ImportError, OSError):
        if image.mode == "LAB":
            raise
        return image.convert("RGB")  # the profile is broken, or of another colour space
    assert converted is not None
    return converted


def _exif(image: Image.Image, kind: str, remarks: list[str]) -> tuple[bytes | None, int]:
    """The EXIF with its orientation reset, and the orientation (1: upright) that is still to be applied."""
    orientation = orientation_of(image)
    try:
        exif = image.getexif()
        if ORIENTATION in exif:
            exif[ORIENTATION] = 1
        if kind == "TIFF":
            for tag in [tag for tag in exif if tag not in TIFF_KEPT]:
                del exif[tag]
        return (exif.tobytes() if len(exif) else None), orientation
    except Exception:  # cameras and editors write invalid EXIF
        remarks.append("its EXIF cannot be read and is left out")
        return None, orientation


def _to_uint8(values: np.ndarray, span: tuple[float, float]) -> np.ndarray:
    shares = (values.astype(np.float32) - np.float32(span[0])) / np.float32(span[1] - span[0])
    return np.rint(np.clip(shares, 0.0, 1.0) * np.float32(255.0)).astype(np.uint8)


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "it is not an image of a known format"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, MemoryError):
        return "there is not enough memory for it"
    return str(error) or type(error).__name__


class _WithoutLimit:
    """Switches off Pillow's global size limit, which warns or raises, and its warnings while any thread is inside.

    If warnings are errors, pictures with nothing but broken EXIF would otherwise be lost.
    """

    def __init__(self) -> None:
        self._lock, self._inside, self._limit = threading.Lock(), 0, Image.MAX_IMAGE_PIXELS
        self._filters: list[Any] = []

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
                warnings.filterwarnings("ignore", module=r"PIL\.")
                self._filters = [warnings.filters[0]]
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                Image.MAX_IMAGE_PIXELS = self._limit
                with contextlib.suppress(ValueError):  # another thread may have reset all filters
                    warnings.filters.remove(self._filters.pop())  # type: ignore[attr-defined]


_pillow_without_limit = _WithoutLimit()
