"""Which mask belongs to which picture, when they lie in folders; and masks of every kind."""

import os
import unicodedata
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
import tifffile
from PIL import Image

from jaxgan.errors import FINISHED, SOME_FAILED
from jaxgan.inference.restorer import Restorer
from jaxgan.jobs.partners import Partners
from jaxgan.media.films.frames import is_picture
from jaxgan.media.reading import PictureError, read_picture

FILLED = Restorer(lambda x: jnp.full_like(x[..., :3], 1.0), 1, 3, 3, "holes", 0, masks=True)


def laid(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


def found(folder, *inputs):
    partners = Partners(folder, inputs, is_picture, what="mask")
    told = {}
    for name in inputs:
        try:
            partner = partners.of(name)
            told[name] = partner and partner.path.relative_to(folder).as_posix()
        except PictureError as error:
            told[name] = str(error)
    return told


@pytest.mark.parametrize(
    ("masks", "expected"),
    [
        (["000.png", "y/000.png"], {"000.png": "000.png", "y/000.png": "y/000.png"}),
        (["000.png"], {"000.png": "000.png", "y/000.png": None}),  # which is of another picture
        (["000.json", "000.png"], {"000.jpg": "000.png"}),
        (["000.json"], {"000.jpg": None}),
        (["deep/er/000.tif"], {"000.jpg": "deep/er/000.tif"}),  # the only one of its name
        (["000.tif"], {"a/000.jpg": "000.tif"}),
        (["000.tif"], {"a/000.jpg": None, "b/000.jpg": None}),  # of one of them, but of which
        (["a/1.png", "b/1.png"], {"1.jpg": "got 2 masks for it, a/1.png and b/1.png, expected one"}),
        (["a.jpg", "a.png"], {"a.tif": "got 2 masks for it, a.jpg and a.png, expected one"}),
        (["a.jpg", "a.png"], {"a.png": "a.png", "a.jpg": "a.jpg"}),
        (["A.png", "a.png"], {"a.jpg": "a.png", "A.jpg": "A.png"}),
        (["A.png"], {"a.jpg": "A.png"}),
        (["A.PNG", "a.Png"], {"á.jpg": None, "a.jpg": "a.Png"}),
        (["AB.png", "Ab.png"], {"ab.jpg": "got 2 masks for it, AB.png and Ab.png, expected one"}),
        ([".a.png", ".m/a.png"], {"a.jpg": None}),
        (["a.b.png", "a.png"], {"a.b.jpg": "a.b.png"}),
    ],
)
def test_masks_are_found_by_path_then_by_name(tmp_path, masks, expected):
    assert found(laid(tmp_path, *masks), *expected) == expected


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_names_compare_however_their_accents_are_written(tmp_path, form):
    other = {"NFC": "NFD", "NFD": "NFC"}[form]
    mask, name = unicodedata.normalize(form, "été/über.png"), unicodedata.normalize(other, "été/über.jpg")
    assert found(laid(tmp_path, mask), name) == {name: mask}


def test_a_second_mask_that_fits_is_told_of(tmp_path):
    folder = laid(tmp_path, "a.png", "a.jpg", "A.tif", "y/b.png", "b.png", "c.png", "y/c.png")
    partners = Partners(folder, ["a.png", "b.png", "c.png", "y/c.png"], is_picture, what="mask")
    told = {name: partners.of(name) for name in ("a.png", "b.png", "c.png")}
    assert {each.path.relative_to(folder).as_posix() for each in told.values()} == set(told)
    assert told["a.png"].remark == "its mask is a.png, though A.tif and a.jpg have its name too"
    assert told["b.png"].remark == "its mask is b.png, though y/b.png has its name too"  # the input may be of y
    assert told["c.png"].remark is None


def test_folders_that_lead_back_end(tmp_path):
    os.symlink(laid(tmp_path, "in/a.png"), tmp_path / "in" / "again")
    assert found(tmp_path, "in/a.png") == {"in/a.png": "in/a.png"}


def picture(path, level):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((6, 8, 3), level, np.uint8)).save(path)


def half(path):
    """A mask of the left half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = np.zeros((6, 8), np.uint8)
    mask[:, :4] = 255
    Image.fromarray(mask).save(path)


def test_a_folder_with_folders_of_masks(tmp_path, apply, capsys):
    for name in ("000.png", "y/000.png", "y/001.png", "z/002.png"):
        picture(tmp_path / "in" / name, 100)
    half(tmp_path / "masks" / "000.png")
    half(tmp_path / "masks" / "y" / "001.gif")
    half(tmp_path / "masks" / "other" / "002.bmp")
    (tmp_path / "masks" / "000.json").write_text("{}")
    assert apply(FILLED, tmp_path / "in", tmp_path / "out", mask=tmp_path / "masks") == SOME_FAILED
    told = capsys.readouterr().out
    assert "y/000.png: failed, there is no mask with its name" in told
    assert "3 of 4 pictures restored" in told
    for name in ("000.png", "y/001.png", "z/002.png"):
        pixels = read_picture(tmp_path / "out" / name).pixels
        assert (pixels[:, :4] == 255).all()
        assert (pixels[:, 4:] == 100).all()


LEFT = np.arange(8)[None].repeat(6, axis=0) < 4


def write_palette(path):
    image = Image.fromarray(LEFT.astype(np.uint8), "P")
    image.putpalette([255, 255, 255, 255, 255, 255])
    image.save(path, transparency=0)


KINDS = {
    "1 bit": ("png", lambda path: Image.fromarray(LEFT).save(path)),
    "16 bits": ("png", lambda path: Image.fromarray(LEFT.astype(np.uint16) * 65535).save(path)),
    "dark of 16 bits": ("png", lambda path: Image.fromarray(LEFT * np.uint16(40000) + np.uint16(255)).save(path)),
    "palette with transparency": ("png", write_palette),
    "white with alpha": (
        "png",
        lambda path: Image.fromarray(np.dstack([np.full((6, 8), 255, np.uint8), LEFT.astype(np.uint8) * 255])).save(
            path
        ),
    ),
    "colour": ("webp", lambda path: Image.fromarray(LEFT[..., None] * np.uint8([255, 0, 0])).save(path, lossless=True)),
    "maxval 1": ("pgm", lambda path: path.write_bytes(b"P5 8 6 1\n" + LEFT.astype(np.uint8).tobytes())),
    "floats": ("tif", lambda path: tifffile.imwrite(path, LEFT.astype(np.float32))),
    "16-bit alpha": (
        "tif",
        lambda path: tifffile.imwrite(
            path,
            np.dstack([np.full((6, 8, 3), 65535, np.uint16), LEFT.astype(np.uint16) * 65535]),
            photometric="rgb",
            extrasamples=["unassalpha"],
        ),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_masks_of_every_kind(tmp_path, apply, kind):
    suffix, write = KINDS[kind]
    picture(tmp_path / "a.png", 100)
    (tmp_path / "masks").mkdir()
    write(tmp_path / "masks" / f"a.{suffix}")
    assert apply(FILLED, tmp_path / "a.png", tmp_path / "b.png", mask=tmp_path / "masks") == FINISHED
    np.testing.assert_array_equal(read_picture(tmp_path / "b.png").pixels[..., 0] == 255, LEFT)


def test_a_mask_of_another_size_names_both_sizes(tmp_path, apply, capsys):
    picture(tmp_path / "in" / "y" / "a.png", 100)
    Image.new("L", (8, 5)).save(laid(tmp_path / "masks", "y/a.png") / "y" / "a.png")
    assert apply(FILLED, tmp_path / "in", tmp_path / "out", mask=tmp_path / "masks") == SOME_FAILED
    assert f"its mask {Path('y', 'a.png')}" in capsys.readouterr().out.replace(f"{tmp_path / 'masks'}{os.sep}", "")
