"""Reading real-world pictures: modes, depths, orientations, profiles, and files that are not pictures."""

import io
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, ImageOps

from jaxgan.media.reading import MAX_PIXELS, PictureError, read_image, read_picture, stored_size

random = np.random.default_rng(0)


def noise(*shape, dtype=np.uint8):
    return random.integers(0, np.iinfo(dtype).max + 1, shape, dtype=dtype)


def png(samples, key=None):
    """16-bit samples as PNG, written by the standard alone; each row has another filter than the previous one."""
    height, width, channels = samples.shape
    rows, above, lines = samples.astype(">u2").reshape(height, -1).view(np.uint8), None, []
    for index, row in enumerate(rows):
        above = np.zeros_like(row) if above is None else above
        left = np.concatenate([np.zeros(2 * channels, np.uint8), row[: -2 * channels]])
        mean = ((above.astype(int) + left) // 2).astype(np.uint8)
        lines.append(bytes([index % 4]) + [row, row - left, row - above, row - mean][index % 4].tobytes())
        above = row
    chunk = lambda name, data: struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))  # noqa: E731
    head = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    transparent = b"" if key is None else chunk(b"tRNS", struct.pack(f">{channels}H", *key))
    content = chunk(b"IDAT", zlib.compress(b"".join(lines)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + transparent + content + chunk(b"IEND", b"")


def joined(picture):
    return picture.pixels if picture.alpha is None else np.concatenate([picture.pixels, picture.alpha], axis=2)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_eight_bits_with_and_without_alpha(tmp_path, channels, suffix):
    samples = noise(5, 7, channels)
    Image.fromarray(samples[..., 0] if channels == 1 else samples).save(tmp_path / f"a.{suffix}")
    picture = read_picture(tmp_path / f"a.{suffix}")
    assert picture.pixels.dtype == np.uint8
    assert (picture.alpha is not None) == (channels in (2, 4))
    np.testing.assert_array_equal(joined(picture), samples)
    assert (picture.height, picture.width, picture.remarks) == (5, 7, ())


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_sixteen_bits_of_png(tmp_path, channels):
    samples = noise(9, 7, channels, dtype=np.uint16)
    (tmp_path / "a.png").write_bytes(png(samples))
    picture = read_picture(tmp_path / "a.png")
    assert picture.pixels.dtype == np.uint16
    assert picture.channels == (1 if channels < 3 else 3)
    np.testing.assert_array_equal(joined(picture), samples)
    assert picture.span == (0, 65535)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_transparent_value_of_sixteen_bits_becomes_alpha(tmp_path, channels):
    samples = noise(4, 4, channels, dtype=np.uint16)
    (tmp_path / "a.png").write_bytes(png(samples, key=samples[1, 2]))
    picture = read_picture(tmp_path / "a.png")
    np.testing.assert_array_equal(picture.pixels, samples)
    assert picture.alpha.dtype == np.uint16
    assert picture.alpha[1, 2, 0] == 0
    assert picture.alpha.astype(int).sum() == 15 * 65535


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"rowsperstrip": 2}])
@pytest.mark.parametrize("channels", [3, 4])
def test_sixteen_bits_of_tiff(tmp_path, channels, options, byteorder):
    samples = noise(9, 7, channels, dtype=np.uint16)
    extra = {"extrasamples": ["unassalpha"]} if channels == 4 else {}
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, samples, photometric="rgb", byteorder=byteorder, **options, **extra)
    picture = read_picture(path)
    np.testing.assert_array_equal(joined(picture), samples)
    assert picture.pixels.dtype == np.uint16


@pytest.mark.parametrize(
    ("values", "span", "told"),
    [
        ([0.0, 0.25, 1.0], (0, 1), None),
        ([0.0, np.nan, 1.0], (0, 1), "not finite"),
    ],
)
def test_floats(tmp_path, values, span, told):
    Image.fromarray(np.array([values], np.float32)).save(tmp_path / "a.tif")
    picture = read_picture(tmp_path / "a.tif")
    assert picture.pixels.dtype == np.float32
    assert picture.span == span
    np.testing.assert_array_equal(picture.pixels[0, :, 0], np.nan_to_num(values))
    assert told is None or told in " ".join(picture.remarks)


def test_palettes_and_single_bits(tmp_path):
    image = Image.new("P", (3, 1))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.putdata([0, 1, 2])
    image.save(tmp_path / "a.png", transparency=bytes([0, 128, 255]))
    picture = read_picture(tmp_path / "a.png")
    assert picture.pixels.tolist() == [[[255, 0, 0], [0, 255, 0], [0, 0, 255]]]
    assert picture.alpha[0, :, 0].tolist() == [0, 128, 255]
    assert "palette" in picture.remarks[0]
    Image.fromarray(np.array([[True, False]])).save(tmp_path / "b.png")
    picture = read_picture(tmp_path / "b.png")
    assert picture.pixels[..., 0].tolist() == [[255, 0]]
    assert "1 bit" in picture.remarks[0]


def test_a_transparent_colour_becomes_alpha(tmp_path):
    Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8)).save(tmp_path / "a.png", transparency=(4, 5, 6))
    Image.fromarray(np.array([[7, 8]], np.uint8)).save(tmp_path / "b.png", transparency=7)
    assert read_picture(tmp_path / "a.png").alpha[0, :, 0].tolist() == [255, 0]
    grey = read_picture(tmp_path / "b.png")
    assert (grey.channels, grey.alpha[0, :, 0].tolist()) == (1, [0, 255])


ORANGE = (255, 128, 0)


def test_cmyk(tmp_path):
    solid = Image.new("CMYK", (16, 16), (*(255 - level for level in ORANGE), 0))
    solid.save(tmp_path / "a.jpg", quality=95)
    solid.save(tmp_path / "b.tif")
    solid.save(tmp_path / "c.jpg", quality=95, icc_profile=b"no profile")
    for name in ("a.jpg", "b.tif", "c.jpg"):
        picture = read_picture(tmp_path / name)
        assert picture.pixels.shape == (16, 16, 3)
        assert np.abs(picture.pixels.astype(int) - ORANGE).max() <= 3
        assert picture.icc is None  # a CMYK profile would not fit
        assert "CMYK" in picture.remarks[0]


def test_ycck(tmp_path):
    """The same stored samples, tagged as YCCK of samples that are inverted twice."""
    inverted = Image.new("RGB", (1, 1), tuple(255 - level for level in ORANGE)).convert("YCbCr").getpixel((0, 0))
    buffer = io.BytesIO()
    Image.new("CMYK", (16, 16), (*(255 - level for level in inverted), 0)).save(buffer, "JPEG", quality=95)
    content = bytearray(buffer.getvalue())
    marker = content.index(b"Adobe")
    content[marker + 11] = 2  # transform: YCCK
    (tmp_path / "a.jpg").write_bytes(content)
    assert np.abs(read_picture(tmp_path / "a.jpg").pixels.astype(int) - ORANGE).max() <= 4


def test_lab_is_read_by_its_definition(tmp_path):
    bands = [Image.new("L", (4, 4), level) for level in (255, 128, 128)]
    Image.merge("LAB", bands).save(tmp_path / "a.tif")
    assert read_picture(tmp_path / "a.tif").pixels.min() >= 250  # L* is 100, a* and b* are 0: white


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_upright_once(tmp_path, suffix, orientation):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "a camera"
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(noise(16, 24, 3)).save(path, exif=exif)
    picture = read_picture(path)
    with Image.open(path) as image:
        np.testing.assert_array_equal(picture.pixels, np.asarray(ImageOps.exif_transpose(image)))
    kept = Image.Exif()
    kept.load(picture.exif)
    assert (kept.get(0x0112, 1), kept[0x010F]) == (1, "a camera")
    assert 0x0100 not in kept  # TIFF's layout tags do not belong to the picture


def test_a_colour_profile_is_kept(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for name in ("a.png", "a.jpg", "a.tif"):
        Image.fromarray(noise(4, 4, 3)).save(tmp_path / name, icc_profile=profile)
        assert read_picture(tmp_path / name).icc == profile


def test_of_several_pictures_the_first_is_read(tmp_path):
    frames = [Image.new("L", (4, 4), level) for level in (10, 200, 90)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "a.tif", save_all=True, append_images=frames[1:])
    for name in ("a.gif", "a.tif"):
        picture = read_picture(tmp_path / name)
        assert (picture.pixels == 10).all()
        assert "the first of 3 pictures" in picture.remarks


def test_what_is_no_picture_says_why(tmp_path):
    Image.fromarray(noise(64, 64, 3)).save(tmp_path / "whole.png")
    Image.fromarray(noise(64, 64, 3)).save(tmp_path / "whole.jpg")
    for name in ("whole.png", "whole.jpg"):
        content = (tmp_path / name).read_bytes()
        (tmp_path / f"cut{name[5:]}").write_bytes(content[: len(content) // 2])
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "drawing.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")
    told = {
        "cut.png": ".",
        "cut.jpg": "truncated",
        "text.png": "not an image of a known format",
        "empty.png": "not an image of a known format",
        "missing.png": "No such file",
        "drawing.eps": "a drawing",
        ".": "directory",
    }
    for name, words in told.items():
        with pytest.raises(PictureError, match=words):
            read_picture(tmp_path / name)


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    Image.new("1", (3000, 3000)).save(tmp_path / "a.png")
    with pytest.raises(PictureError, match=r"3000 x 3000 pixels, expected at most 1,000,000"):
        read_picture(tmp_path / "a.png", max_pixels=1_000_000)
    # Pillow's own limit: a warning above it, an error above twice that
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    for suffix in ("png", "tif"):
        Image.new("L", (50, 50), 7).save(tmp_path / f"b.{suffix}")
    with ThreadPoolExecutor(4) as pool:
        pictures = list(pool.map(read_picture, [tmp_path / "b.png", tmp_path / "b.tif"] * 8))
    assert all((picture.pixels == 7).all() for picture in pictures)
    assert Image.MAX_IMAGE_PIXELS == 1000
    assert MAX_PIXELS > 5000 * 4000


def test_the_size_is_known_without_decoding(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(noise(64, 32, 3)).save(path)
    path.write_bytes(path.read_bytes()[:200])
    assert stored_size(path) == (64, 32)
    path.write_text("no picture")
    with pytest.raises(PictureError, match="not an image"):
        stored_size(path)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_levels_become_floats_and_come_back(tmp_path, dtype):
    levels = np.linspace(0, np.iinfo(dtype).max, 256).astype(dtype).reshape(16, 16, 1)
    (tmp_path / "a.png").write_bytes(png(levels)) if dtype == np.uint16 else Image.fromarray(levels[..., 0]).save(
        tmp_path / "a.png"
    )
    picture = read_picture(tmp_path / "a.png")
    floats = picture.to_float(picture.pixels)
    assert (floats.dtype, floats.min(), floats.max()) == (np.float32, -1, 1)
    np.testing.assert_array_equal(picture.from_float(floats), levels)
    assert picture.from_float(np.array([-9.0, 9.0, np.nan], np.float32)).tolist() == [
        0,
        np.iinfo(dtype).max,
        round(np.iinfo(dtype).max / 2),
    ]
    assert np.asarray(picture.to_image()).dtype == np.uint8
    np.testing.assert_allclose(
        np.asarray(picture.to_image()) / 255, levels[..., 0] / np.iinfo(dtype).max, atol=0.5 / 255
    )


def test_pictures_for_training_are_the_same_in_eight_bits(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "deep.png").write_bytes(png(noise(9, 7, 3, dtype=np.uint16)))
    (tmp_path / "key.png").write_bytes(png(noise(4, 4, 3, dtype=np.uint16), key=(1, 2, 3)))
    (tmp_path / "few.pgm").write_bytes(b"P5 3 1 15\n" + bytes([0, 7, 15]))
    tifffile.imwrite(tmp_path / "signed.tif", np.array([[-5, 127]], np.int8))
    for name, channels in (("grey.png", 1), ("alpha.png", 4), ("photo.jpg", 3), ("photo.webp", 3), ("two.png", 2)):
        samples = noise(9, 7, channels)
        Image.fromarray(samples[..., 0] if channels == 1 else samples).save(tmp_path / name)
        Image.fromarray(samples[..., 0] if channels == 1 else samples).save(tmp_path / f"turned-{name}", exif=exif)
    Image.new("CMYK", (8, 8), (9, 90, 200, 0)).save(tmp_path / "print.jpg")
    Image.fromarray(noise(5, 5, 3)).quantize(4).save(tmp_path / "palette.png", transparency=1)
    paths = sorted(tmp_path.iterdir())
    assert len(paths) == 16
    for path in paths:
        image, expected = read_image(path), read_picture(path).to_image()
        assert (image.mode, image.size) == (expected.mode, expected.size)
        np.testing.assert_array_equal(np.asarray(image), np.asarray(expected))
    with pytest.raises(PictureError, match="not an image"):
        read_image(b"no picture")
