"""Projection of pictures, on networks that were never trained."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from jaxgan.commands import project
from jaxgan.commands.project import read_picture
from jaxgan.config.run import from_json
from jaxgan.errors import FINISHED, UserError
from jaxgan.inference.model import load
from jaxgan.media.images import save_image


def run(workdir, **options):
    config = from_json((workdir / "config.json").read_text())
    return project.run(config, str(workdir), {name: str(value) for name, value in options.items()})


@pytest.mark.parametrize("family", ["dcgan", "stylegan2"])
def test_an_image_of_the_generator_is_found_again(runs, tmp_path, family, capsys):
    generator = load(runs[family])
    image = generator.generate(7, 1, [4] if generator.num_classes else None)[0]
    save_image(image, tmp_path / "wanted.png")
    output = tmp_path / "found.png"
    assert run(runs[family], input=tmp_path / "wanted.png", output=output, steps=100) == FINISHED
    found = np.load(tmp_path / "found.npz")
    start, end = found["distances"][[0, -1]]
    assert start > 5 * end
    assert found["distances"].shape == (101,)
    assert found["style" if family == "stylegan2" else "latent"].shape == (16,)
    np.testing.assert_allclose(found["target"], np.clip(image, -1, 1), atol=1 / 127)
    assert "pyramid-l2" in capsys.readouterr().out
    with Image.open(output) as picture:
        assert picture.size[0] > 2 * 64


def test_the_label_can_be_chosen(runs, tmp_path):
    save_image(np.zeros((20, 12, 3), np.float32), tmp_path / "grey.png")
    output = tmp_path / "out.png"
    assert run(runs["dcgan"], input=tmp_path / "grey.png", labels=3, steps=1, output=output) == FINISHED
    assert np.load(tmp_path / "out.npz")["label"] == 3
    with pytest.raises(UserError, match="--labels: got 12"):
        run(runs["dcgan"], input=tmp_path / "grey.png", labels=12, steps=1, output=output)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "--input is missing"),
        ({"input": ""}, "--input is missing"),
        ({"input": "nowhere.png"}, "nowhere.png cannot be read as a picture"),
        ({"input": __file__}, "cannot be read as a picture"),
        ({"input": "x.png", "steps": 0}, "--steps: got 0"),
        ({"input": "x.png", "output": "x.gif"}, "expected one of .png, .jpg"),
    ],
)
def test_a_mistake_in_projecting_is_one_line(runs, options, words):
    with pytest.raises(UserError, match=words):
        run(runs["dcgan"], **options)


def test_it_reads_pictures_as_apply_does(tmp_path, monkeypatch):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.repeat([[0, 255]], 8, axis=0).repeat(4, axis=1).astype(np.uint8)).save(
        tmp_path / "a.png", exif=exif
    )
    turned = read_picture(tmp_path / "a.png", (8, 8, 1), "resize")[..., 0]
    assert (turned[:4] == -1).all()  # what was left is above
    assert (turned[4:] == 1).all()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)  # Pillow's limit, of which twice as much raises
    assert read_picture(tmp_path / "a.png", (8, 8, 3), "resize").shape == (8, 8, 3)
    deep = np.full((8, 8), 199, np.uint16)
    Image.fromarray(deep).save(tmp_path / "b.png")
    assert read_picture(tmp_path / "b.png", (8, 8, 1), "resize").max() < -0.98


def test_what_is_too_large_to_read_is_told(tmp_path):
    head = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 0, 0, 0, 0)
    chunk = b"IHDR" + head
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(head)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    (tmp_path / "a.png").write_bytes(png + struct.pack(">I", 0) + b"IDAT" + b"\0" * 4)
    with pytest.raises(UserError, match="40000 x 40000 pixels, expected at most"):
        read_picture(tmp_path / "a.png", (8, 8, 1), "resize")
