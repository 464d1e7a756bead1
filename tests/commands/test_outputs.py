"""Outputs that cannot be written are one line and status 2, before anything is computed or imported for it."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import jaxgan.main
from jaxgan.config.run import DataConfig, RunConfig, to_json
from jaxgan.errors import MISTAKE, SOME_FAILED, UserError
from jaxgan.inference.restorer import Restorer
from jaxgan.main import main
from jaxgan.media.grids import save_grid
from jaxgan.media.images import save_image
from jaxgan.media.reading import Picture, PictureError
from jaxgan.media.writing import check_fits

PART = {"name": "generation.Generation"}
BELOW_A_FILE = [
    ("sample", {"output": "file/a.png"}),
    ("sample", {"kind": "files", "output": "file/folder"}),
    ("sample", {"kind": "interpolate", "output": "file/a.gif"}),
    ("project", {"input": "in/a.png", "output": "file/more/a.png"}),
    ("export", {"format": "safetensors", "output": "file/a.safetensors"}),
    ("plan", {"topology": "v5e:2x2", "output": "file/a.json"}),
    ("apply", {"input": "in/a.png", "output": "file/a.png"}),
    ("apply", {"input": "in", "output": "file/out/"}),
    ("apply", {"input": "in/a.png", "output": "b.png", "compare": "file/c.png"}),
]
IS_A_FOLDER = [(mode, {**options, "output": "in"}) for mode, options in BELOW_A_FILE[3:6]] + [
    ("sample", {"output": "folder.png"}),
    ("sample", {"kind": "neighbours", "output": "table.png"}),
    ("project", {"input": "in/a.png", "output": "folder.png"}),
    ("project", {"input": "in/a.png", "output": "arrays.png"}),
    ("export", {"format": "onnx", "output": "folder.png"}),
    ("apply", {"input": "in/a.png", "output": "b.png", "compare": "folder.png"}),
]
WRONG_SUFFIX = [
    ("sample", {"output": "x.txt"}, "got 'x.txt', expected one of .png, .jpg"),
    ("sample", {"output": "x"}, "got 'x', expected one of .png, .jpg"),
    ("sample", {"kind": "interpolate", "output": "x.png"}, "expected one of .gif, .webp, .mp4"),
    ("sample", {"kind": "files", "output": "x.png"}, "expected a folder for --kind=files"),
    ("project", {"input": "in/a.png", "output": "x.npz"}, "got 'x.npz', expected one of .png, .jpg"),
    ("project", {"input": "in/a.png", "output": "in/a.png"}, "would replace the input"),
    ("plan", {"topology": "v5e:2x2", "output": "x.txt"}, "got 'x.txt', expected a .json"),
    ("export", {"format": "onnx", "output": "x.png"}, "got 'x.png', expected a file of weights"),
    ("sample", {"output": "pipe.png"}, "neither a file nor a folder"),
    ("sample", {"output": "a" * 300 + ".png"}, "longer than 255 bytes"),
    ("sample", {"output": "lost/a.png"}, "is a broken link"),
    ("sample", {"output": "/proc/a.png"}, "cannot be written"),
]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A run that has but a config, some files, and a command line whose commands must not be reached."""

    def reached(mode):
        raise AssertionError(f"{mode} began to work")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(jaxgan.main, "_command", reached)
    monkeypatch.setattr("jaxgan.building.builder.check_sections", lambda config, allow=(): None)
    for name in ("run", "in", "folder.png", "table.json", "arrays.npz"):
        os.mkdir(name)
    Path("run/config.json").write_text(to_json(RunConfig({"generator": PART}, PART, data=DataConfig("x"), images=1)))
    Path("file").write_text("precious")
    Image.new("RGB", (8, 8)).save("in/a.png")
    os.mkfifo("pipe.png")
    os.symlink("nowhere", "lost")
    return tmp_path


def refusal(capsys, mode, options):
    before = sorted(str(each) for each in Path().rglob("*"))
    flags = [f"--{name}={value}" for name, value in options.items()]
    assert main([f"--mode={mode}", "--workdir=run", *flags]) == MISTAKE
    assert sorted(str(each) for each in Path().rglob("*")) == before
    assert Path("file").read_text() == "precious"
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    return told


@pytest.mark.parametrize(("mode", "options"), BELOW_A_FILE)
def test_below_a_file(place, capsys, mode, options):
    told = refusal(capsys, mode, options)
    assert "cannot be written: 'file' is a file" in told
    assert told.startswith(f"jaxgan: --{'compare' if 'compare' in options else 'output'}: ")


@pytest.mark.parametrize(("mode", "options"), IS_A_FOLDER)
def test_a_folder_of_that_name(place, capsys, mode, options):
    told = refusal(capsys, mode, options)
    assert "is a folder, expected a file" in told or "expected one of .png" in told or "expected a .json" in told


@pytest.mark.parametrize(("mode", "options", "why"), WRONG_SUFFIX)
def test_another_suffix_or_no_place(place, capsys, mode, options, why):
    assert why in refusal(capsys, mode, options)


@pytest.mark.parametrize("mode", ["evaluate", "import", "sample", "project"])
def test_a_workdir_that_takes_no_files(place, capsys, monkeypatch, mode):
    def refused(target):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("jaxgan.cli.outputs.new_file_beside", refused)
    assert "--workdir: 'run" in (told := refusal(capsys, mode, {"input": "in/a.png"} if mode == "project" else {}))
    assert "Read-only file system" in told


@pytest.mark.parametrize("output", ["new/deep/a.png", "in/b.jpg", "results/", "results_v1.5", "a.b c", "in"])
def test_what_can_be_written_is_let_through(place, output):
    with pytest.raises(AssertionError, match="apply began to work"):
        main(["--mode=apply", "--workdir=run", "--input=in/a.png", f"--output={output}"])


def test_a_link_as_output_is_let_through_and_replaced_itself(place):
    os.symlink("../file", "in/link.png")
    with pytest.raises(AssertionError, match="sample began to work"):
        main(["--mode=sample", "--workdir=run", "--output=in/link.png"])
    save_image(np.zeros((4, 4, 3)), "in/link.png")
    assert Path("file").read_text() == "precious"
    assert not Path("in/link.png").is_symlink()


@pytest.mark.parametrize(
    ("suffix", "kind"), [(".png", "PNG"), (".jpg", "JPEG"), (".WEBP", "WEBP"), (".tif", "TIFF"), (".bmp", "BMP")]
)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pictures_are_written_as_their_suffix_says(tmp_path, suffix, kind, channels):
    levels = np.full((2, 16, 16, channels), 200, np.uint8)
    save_grid(levels, tmp_path / f"a{suffix}", columns=2)
    save_image(levels[0], tmp_path / f"b{suffix}")
    for name, size in (("a", 134), ("b", 16)):
        with Image.open(tmp_path / f"{name}{suffix}") as picture:
            assert (picture.format, picture.width) == (kind, size)
    if channels == 4 and kind in ("JPEG", "BMP"):  # 200 over white with an alpha of 200
        with Image.open(tmp_path / f"b{suffix}") as picture:
            assert abs(picture.getpixel((8, 8))[0] - (255 - 55 * 200 / 255)) <= 2


@pytest.mark.parametrize(("suffix", "side"), [(".jpg", 65501), (".webp", 16384)])
def test_a_picture_too_large_for_its_format(tmp_path, suffix, side):
    with pytest.raises(UserError, match="along a side"):
        save_image(np.zeros((1, side, 1), np.uint8), tmp_path / f"a{suffix}")
    with pytest.raises(UserError, match=r"got suffix '\.txt', expected one of"):
        save_image(np.zeros((1, 1, 1), np.uint8), tmp_path / "a.txt")
    assert os.listdir(tmp_path) == []


def never(condition):
    raise AssertionError(f"tiles of {condition.shape} were computed")


ENLARGING = Restorer(never, 8, 3, 3, "nothing", 0)


@pytest.mark.parametrize(("suffix", "limit"), [(".jpg", "65,500"), (".webp", "16,383")])
def test_pictures_too_large_for_their_format_are_told_before_tiles_are_computed(tmp_path, apply, capsys, suffix, limit):
    Image.new("RGB", (9_000, 2)).save(tmp_path / f"wide{suffix}")
    assert apply(ENLARGING, tmp_path / f"wide{suffix}", tmp_path / "out/") == SOME_FAILED
    told = capsys.readouterr().out
    assert f"wide{suffix} cannot be written: " in told
    assert f"got 72000 x 16 pixels, expected at most {limit} along a side" in told


@pytest.mark.parametrize(("suffix", "depth", "side"), [(".bmp", np.uint8, 38_000), (".tif", np.uint16, 27_000)])
def test_so_are_those_of_more_than_four_gigabytes(suffix, depth, side):
    rows = np.broadcast_to(np.zeros((1, 1, 3), depth), (side // 8, side // 8, 3))
    with pytest.raises(PictureError, match="expected at most 4 GB"):
        check_fits(f"a{suffix}", Picture(rows, None, (0.0, 255.0)), 8)
    check_fits(f"a{suffix}", Picture(rows, None, (0.0, 255.0)), 4)
    check_fits("a.png", Picture(rows, None, (0.0, 255.0)), 8)


@pytest.mark.parametrize(("width", "codec"), [(2_064, "h264"), (2_064, "av1"), (9_000, "ffv1")])
def test_so_are_films_that_no_encoder_takes(tmp_path, apply, capsys, width, codec):
    pytest.importorskip("av")
    from filming import make

    frames = np.zeros((2, 16, width, 3), np.uint8)
    film = make(tmp_path / "film.mkv", frames, codec="ffv1", pixels="bgr0")
    assert apply(ENLARGING, film, tmp_path / "out.mkv", codec=codec) == SOME_FAILED
    told = capsys.readouterr().out
    assert f"frames of {8 * width} x 128 pixels" in told or "at most 65,535 along a side" in told
    assert sorted(os.listdir(tmp_path)) == ["film.mkv"]
