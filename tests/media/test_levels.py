"""Black and white follow from a file's sample type, never from its values."""

import io
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image

from jaxgan.media.reading import PictureError, read_picture


@pytest.fixture
def read(tmp_path):
    def read(content):
        (tmp_path / "a").write_bytes(content)
        return read_picture(tmp_path / "a")

    return read


def netpbm(kind, white, values, shape):
    """A file by netpbm's specification: text (P2, P3) or bytes, two for each sample from 256 levels on."""
    head = f"{kind} {shape[1]} {shape[0]} {white}\n".encode()
    flat = np.ravel(values).tolist()
    if kind in ("P2", "P3"):
        return head + b"# a comment 9\n" + "\n".join(map(str, flat)).encode()
    return head + (bytes(flat) if white < 256 else struct.pack(f">{len(flat)}H", *flat))


def tiff(values, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, values, **options)
    return file.getvalue()


@pytest.mark.parametrize("white", [1, 15, 255, 1000, 4095, 65535])
@pytest.mark.parametrize("kind", ["P2", "P3", "P5", "P6"])
def test_white_of_a_netpbm_file_is_its_maxval(read, kind, white):
    shape = (2, 3, 3 if kind in ("P3", "P6") else 1)
    values = np.random.default_rng(white).integers(0, white + 1, shape)
    values[0, 0] = 0, *([white] * (shape[2] - 1))
    picture = read(netpbm(kind, white, values, shape))
    full = 65535 if white > 255 else 255
    assert picture.pixels.dtype == (np.uint16 if white > 255 else np.uint8)
    assert picture.span == (0, full)
    np.testing.assert_array_equal(picture.pixels, np.rint(values * (full / white)))
    assert picture.remarks == ()


@pytest.mark.parametrize("kind", ["P2", "P5"])
def test_a_dark_picture_of_sixteen_bits_stays_dark(read, kind):
    values = np.arange(200).reshape(10, 20, 1)
    picture = read(netpbm(kind, 65535, values, values.shape))
    assert picture.pixels.dtype == np.uint16
    np.testing.assert_array_equal(picture.pixels, values)
    assert picture.to_float(picture.pixels).max() < -0.99


def test_values_over_maxval_are_clipped_and_told_of(read):
    picture = read(netpbm("P5", 1000, [[0, 500, 1001, 5000]], (1, 4)))
    assert picture.pixels[0, :, 0].tolist() == [0, 32768, 65535, 65535]
    assert picture.remarks == ("2 values above its white of 1000, clipped",)


@pytest.mark.parametrize("kind", ["P2", "P3", "P5", "P6"])
def test_netpbm_files_that_are_cut_off_or_damaged_are_refused(read, kind):
    shape = (4, 4, 3 if kind in ("P3", "P6") else 1)
    whole = netpbm(kind, 4095, np.full(shape, 4000), shape)
    with pytest.raises(PictureError, match="cut off"):
        read(whole[:-5])
    if kind in ("P2", "P3"):
        with pytest.raises(PictureError, match="text that is not a number"):
            read(whole[:-3] + b"-1 ")


@pytest.mark.parametrize(
    ("values", "options", "expected", "told"),
    [
        (np.array([[0, 100, 199]], np.uint16), {}, [0, 100, 199], None),
        # 12 bits stored in 16: dark, as its type defines
        (np.array([[0, 100, 4095]], np.uint16), {}, [0, 100, 4095], None),
        (np.array([[0, 100, 199]], np.uint16), {"extratags": [(281, 3, 1, 4095, True)]}, [0, 100, 199], None),
        (np.array([[0, 100]], np.uint16), {"photometric": "miniswhite"}, [65535, 65435], None),
        (np.array([[-5, 0, 16384, 32767]], np.int16), {}, [0, 0, 32769, 65535], "1 value below 0, read as black"),
        (np.array([[-5, 0, 127]], np.int8), {}, [0, 0, 255], "1 value below 0, read as black"),
        (np.array([[0, 200, 60000]], np.int32), {}, [0, 200, 60000], "65535 as white"),
        (np.array([[0, 200, 2**32 - 1]], np.uint32), {}, [0, 200, 65535], "1 value above 65535, read as white"),
        (np.array([[-9, 99]], np.int32), {}, [0, 99], "1 value below 0, read as black"),
    ],
)
def test_integers_of_a_tiff(read, values, options, expected, told):
    picture = read(tiff(values, **options))
    assert picture.pixels[0, :, 0].tolist() == expected
    assert picture.span == (0, 255 if values.dtype == np.int8 else 65535)
    assert (not picture.remarks) if told is None else told in " ".join(picture.remarks)


@pytest.mark.parametrize(
    ("values", "tags", "white", "expected", "told"),
    [
        ([0.0, 0.5, 1.02], [], 1, [0, 0.5, 1], "1 value above 1, read as white"),
        ([-0.01, 0.004, 0.02], [], 1, [0, 0.004, 0.02], "1 value below 0, read as black"),
        ([0.0, 30.0, 200.0], [(340, 12, 1, 0.0, True), (341, 12, 1, 255.0, True)], 255, [0, 30, 200], "255 as white"),
        ([0.0, 0.5, 1.5], [(340, 12, 1, 0.0, True), (341, 12, 1, 2.0, True)], 2, [0, 0.5, 1.5], "2 as white"),
    ],
)
def test_floats_of_a_tiff_have_one_rule_which_is_told(read, values, tags, white, expected, told):
    picture = read(tiff(np.array([values], np.float32), extratags=tags))
    assert picture.span == (0, white)
    np.testing.assert_allclose(picture.pixels[0, :, 0], expected)
    assert told in " ".join(picture.remarks)


def test_floats_whose_white_nobody_knows_are_neither_guessed_nor_clipped(read):
    with pytest.raises(PictureError, match="got floats up to 200, expected white at 1: divide them by their white"):
        read(tiff(np.array([[0.0, 0.5, 30.0, 200.0]], np.float32)))


def test_deep_colours_in_planes_are_refused_and_not_read_as_noise(read):
    content = tiff(np.full((3, 4, 5), 300, np.uint16), photometric="rgb", planarconfig="separate")
    with pytest.raises(PictureError, match="16 bits in separate planes"):
        read(content)
    assert (read(tiff(np.full((3, 4, 5), 30, np.uint8), planarconfig="separate")).pixels == 30).all()


def test_jpeg_2000_of_sixteen_bits(read):
    file = io.BytesIO()
    Image.fromarray(np.array([[0, 100, 199, 60000]] * 4, np.uint16)).save(file, "JPEG2000")
    assert read(file.getvalue()).pixels[0, :, 0].tolist() == [0, 100, 199, 60000]
