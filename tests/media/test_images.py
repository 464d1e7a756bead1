"""Pictures as arrays and files."""

import numpy as np
import pytest
from PIL import Image

from jaxgan.media.images import opaque, save_image, to_uint8
from jaxgan.system.whole_files import replace_file


def test_floats_become_levels_and_uint8_stays():
    image = np.array([-1.0, 0.0, 1.0, 7.0, -7.0, np.nan], np.float32).reshape(1, 6, 1)
    assert to_uint8(image).ravel().tolist() == [0, 128, 255, 255, 0, 128]
    levels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    assert to_uint8(levels) is levels
    back = to_uint8(np.arange(256).reshape(1, 256, 1) / 127.5 - 1)
    assert back.ravel().tolist() == list(range(256))


@pytest.mark.parametrize("wrong", [np.zeros((4, 4)), np.zeros((4, 4, 5)), np.zeros((4, 4, 3), np.int32)])
def test_what_is_no_image_is_refused(wrong):
    with pytest.raises(ValueError, match="got an image of"):
        to_uint8(wrong)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "LA"), (3, "RGB"), (4, "RGBA")])
def test_saved_png_holds_the_same_pixels(tmp_path, channels, mode):
    image = np.random.default_rng(0).integers(0, 256, (5, 7, channels), dtype=np.uint8)
    path = tmp_path / "new" / "folder" / "a.png"
    save_image(image, path)
    with Image.open(path) as picture:
        assert (picture.format, picture.mode, picture.size) == ("PNG", mode, (7, 5))
        assert np.array_equal(np.asarray(picture).reshape(image.shape), image)
    assert [p.name for p in path.parent.iterdir()] == ["a.png"]


def test_a_batch_is_not_a_picture(tmp_path):
    with pytest.raises(ValueError, match=r"\[H, W, C\]"):
        save_image(np.zeros((2, 4, 4, 3), np.uint8), tmp_path / "a.png")


def test_alpha_is_composited_onto_white():
    image = np.array([[[10, 20, 30, 0], [10, 20, 30, 255], [55, 155, 255, 51]]], np.uint8)
    assert opaque(image).tolist() == [[[255, 255, 255], [10, 20, 30], [215, 235, 255]]]
    assert opaque(image[..., :3]).shape == (1, 3, 3)


def test_a_write_that_fails_leaves_the_old_file_and_no_rest(tmp_path):
    path = tmp_path / "file"
    replace_file(path, b"old")
    with pytest.raises(TypeError):
        replace_file(path, "not bytes")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
