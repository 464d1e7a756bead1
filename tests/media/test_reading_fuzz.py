"""Broken pictures are read or refused in one line, quickly and in bounded memory."""

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from fuzzing import read_mutants
from PIL import Image, features

from jaxgan.media.reading import Picture, PictureError, read_image, read_picture, stored_size
from jaxgan.media.writing import _write_png

random = np.random.default_rng(0)
COLOURS = random.integers(0, 256, (24, 32, 3), dtype=np.uint8)
DEEP = random.integers(0, 65536, (24, 32), dtype=np.uint16)


def saved(image, kind, **options):
    file = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(file, kind, **options)
    return file.getvalue()


def tiff(values, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, values, **options)
    return file.getvalue()


def netpbm(kind, white, values):
    head = f"{kind} {values.shape[1]} {values.shape[0]} {white}\n".encode()
    return head + (
        " ".join(map(str, values.ravel().tolist())).encode() if kind < "P4" else values.astype(">u2").tobytes()
    )


def interlaced():
    """A PNG of 8 x 8 grey pixels in Adam7's seven passes."""
    values = COLOURS[:8, :8, 0]
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
    rows = b"".join(b"\0" + row.tobytes() for y, x, down, right in passes for row in values[y::down, x::right])
    chunk = lambda name, data: struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))  # noqa: E731
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 1))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def turned():
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a camera"
    return exif


def originals(group):
    palette = Image.fromarray(COLOURS).quantize(16)
    alpha = Image.fromarray(np.dstack([COLOURS, COLOURS[..., :1]]))
    if group == "png":
        deep = io.BytesIO()
        _write_png(deep, Picture(np.dstack([DEEP, DEEP, DEEP]), span=(0.0, 65535.0)), None)
        return [
            saved(COLOURS, "PNG", exif=turned()),
            saved(DEEP, "PNG"),
            saved(palette, "PNG", transparency=bytes(range(0, 160, 10))),
            saved(alpha, "PNG"),
            deep.getvalue(),
            interlaced(),
        ]
    if group == "jpeg and webp":
        kinds = [saved(COLOURS, "JPEG", exif=turned()), saved(Image.new("CMYK", (32, 24)), "JPEG")]
        kinds += [saved(COLOURS, "WEBP", exif=turned()), saved(alpha, "WEBP", lossless=True)]
        return kinds + [saved(COLOURS, "AVIF")] * features.check("avif")
    if group == "tiff":
        return [
            saved(COLOURS, "TIFF", compression="tiff_lzw", exif=turned()),
            tiff(np.dstack([DEEP, DEEP, DEEP]), photometric="rgb"),
            tiff(np.zeros((32, 32), np.float32), tile=(16, 16)),
            tiff(DEEP.astype(np.int16)),
            tiff(DEEP.astype(np.uint32), extratags=[(341, 12, 1, 9.0, True)]),
        ]
    return [
        saved(COLOURS, "BMP"),
        saved(palette, "GIF"),
        saved(COLOURS, "ICO"),
        saved(DEEP, "JPEG2000") if features.check("jpg_2000") else saved(COLOURS, "TGA"),
        netpbm("P5", 4095, DEEP % 4096),
        netpbm("P6", 65535, np.dstack([DEEP, DEEP, DEEP])),
        netpbm("P3", 1000, COLOURS.astype(np.uint16)),
        b"Pf 4 2 -1.0\n" + struct.pack("<8f", *np.linspace(0, 1, 8)),
    ]


def test_an_interlaced_picture_is_read(tmp_path):
    (tmp_path / "a").write_bytes(interlaced())
    np.testing.assert_array_equal(read_picture(tmp_path / "a").pixels[..., 0], COLOURS[:8, :8, 0])


@pytest.mark.slow
@pytest.mark.parametrize("group", ["png", "jpeg and webp", "tiff", "others"])
def test_broken_pictures_are_read_or_refused(tmp_path, group):
    def read(path):
        picture = read_picture(path)
        assert picture.pixels.shape[:2] == stored_size(path) == (picture.height, picture.width)
        assert np.isfinite(picture.to_float(picture.pixels)).all()
        np.testing.assert_array_equal(read_image(path), picture.to_image())

    told = read_mutants(read, originals(group), tmp_path / "a", refusals=PictureError)
    assert told["read"] > 20
