"""Pictures are written with their depth and channels, and what a format cannot keep is reported."""

import dataclasses

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, JpegImagePlugin

from jaxgan.media import writing
from jaxgan.media.reading import Picture, PictureError, read_picture
from jaxgan.media.writing import write_picture

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
EXIF_IFD, WIDTH = 0x8769, 0xA002


def picture(channels=3, dtype=np.uint8, *, alpha=False, size=(70, 9)):
    random = np.random.default_rng(channels)
    if dtype == np.float32:
        return Picture(random.random((*size, channels), dtype), None, (0.0, 1.0), "TIFF")
    top = np.iinfo(dtype).max
    samples = random.integers(0, top + 1, (*size, channels + alpha), dtype=dtype)
    samples[10:20] = samples[10]  # rows equal to those above them
    return Picture(samples[..., :channels], samples[..., channels:] if alpha else None, (0.0, float(top)))


def same(one, other):
    assert one.pixels.dtype == other.pixels.dtype
    np.testing.assert_array_equal(one.pixels, other.pixels)
    assert (one.alpha is None) == (other.alpha is None)
    if one.alpha is not None:
        np.testing.assert_array_equal(one.alpha, other.alpha)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_what_is_written_is_read_again(tmp_path, suffix, alpha, channels, dtype):
    wanted = dataclasses.replace(picture(channels, dtype, alpha=alpha), icc=PROFILE)
    path = tmp_path / "new" / f"a{suffix}"
    assert write_picture(path, wanted) == ()
    found = read_picture(path)
    if suffix == ".tif" and dtype == np.uint16 and alpha:  # grey with alpha is written as RGBA
        found = dataclasses.replace(found, pixels=found.pixels[..., :channels])
    same(found, wanted)
    assert found.icc == PROFILE
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("alpha", [False, True])
def test_another_reader_agrees_about_tiff(tmp_path, alpha):
    wanted = picture(3, np.uint16, alpha=alpha)
    write_picture(tmp_path / "a.tiff", wanted)
    samples = tifffile.imread(tmp_path / "a.tiff")
    np.testing.assert_array_equal(samples[..., :3], wanted.pixels)
    assert samples.shape[2] == 3 + alpha


def test_large_pictures_stream_into_png(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "STREAMED", 100)
    for alpha in (False, True):
        wanted = picture(3, alpha=alpha, size=(150, 5))
        write_picture(tmp_path / "a.png", wanted)
        same(read_picture(tmp_path / "a.png"), wanted)


def test_floats(tmp_path):
    wanted = picture(1, np.float32)
    assert write_picture(tmp_path / "a.tif", wanted) == ()
    np.testing.assert_array_equal(read_picture(tmp_path / "a.tif").pixels, wanted.pixels)
    assert write_picture(tmp_path / "a.png", wanted) == ("floats become 16 bits",)
    np.testing.assert_allclose(read_picture(tmp_path / "a.png").pixels / 65535, wanted.pixels, atol=0.51 / 65535)
    assert write_picture(tmp_path / "a.jpg", wanted) == ("floats become 8 bits",)


def test_jpeg_keeps_its_colours_at_full_resolution(tmp_path):
    write_picture(tmp_path / "a.jpg", picture(3))
    Image.fromarray(picture(3).pixels).save(tmp_path / "b.jpg", quality=95, subsampling=0)
    with Image.open(tmp_path / "a.jpg") as image, Image.open(tmp_path / "b.jpg") as other:
        assert JpegImagePlugin.get_sampling(image) == 0
        assert image.quantization == other.quantization
    write_picture(tmp_path / "c.jpeg", picture(1))
    assert read_picture(tmp_path / "c.jpeg").channels == 1


def test_what_a_format_cannot_keep_is_told(tmp_path):
    lost = write_picture(tmp_path / "a.jpg", picture(3, np.uint16, alpha=True))
    assert lost == ("16 bits become 8 bits", "transparency is composited onto white")
    assert read_picture(tmp_path / "a.jpg").alpha is None
    lost = write_picture(tmp_path / "a.bmp", dataclasses.replace(picture(3), icc=PROFILE))
    assert lost == ("colour profile and EXIF are not kept in BMP",)
    same(read_picture(tmp_path / "a.bmp"), picture(3))
    assert write_picture(tmp_path / "a.webp", picture(3, alpha=True)) == ()
    np.testing.assert_array_equal(read_picture(tmp_path / "a.webp").alpha, picture(3, alpha=True).alpha)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_exif_is_kept_with_the_new_size(tmp_path, suffix):
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    exif.get_ifd(EXIF_IFD)[WIDTH] = 4000
    write_picture(tmp_path / f"a{suffix}", dataclasses.replace(picture(3), exif=exif.tobytes()))
    with Image.open(tmp_path / f"a{suffix}") as image:
        found = image.getexif()
        assert found[0x010F] == "a camera"
        assert found.get_ifd(EXIF_IFD)[WIDTH] == 9
    # 16 bits, which Pillow cannot write
    lost = write_picture(tmp_path / "b.png", dataclasses.replace(picture(3, np.uint16), exif=exif.tobytes()))
    assert lost == ()
    kept = Image.Exif()
    kept.load(read_picture(tmp_path / "b.png").exif)
    assert kept[0x010F] == "a camera"


def test_broken_exif_costs_no_picture(tmp_path):
    lost = write_picture(tmp_path / "a.png", dataclasses.replace(picture(3), exif=b"Exif\0\0no exif"))
    assert len(lost) == 1
    assert "EXIF" in lost[0]
    same(read_picture(tmp_path / "a.png"), picture(3))


def test_what_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    with pytest.raises(PictureError, match=r"'\.xyz', expected one of \.png, \.jpg"):
        write_picture(tmp_path / "a.xyz", picture())
    wide = Picture(np.zeros((1, 70_000, 1), np.uint8))
    for suffix in (".jpg", ".webp"):
        with pytest.raises(PictureError, match="at most"):
            write_picture(tmp_path / f"a{suffix}", wide)
    path = tmp_path / "a.png"
    write_picture(path, picture())
    before = path.read_bytes()

    def fail(*_, **__):
        raise OSError("the disk is full")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OSError, match="full"):
        write_picture(path, picture(1))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
