"""What is written never takes the place of what a user has, and never goes through a link."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxgan.checkpoints.workdir import Workdir
from jaxgan.errors import UserError
from jaxgan.jobs.apply_options import read_apply_options
from jaxgan.jobs.files import pair_files
from jaxgan.media.films import segments
from jaxgan.media.grids import save_grid
from jaxgan.media.images import save_image
from jaxgan.media.provenance.origin import Origin
from jaxgan.media.reading import PictureError
from jaxgan.system.whole_files import replace_file, replacing


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Two inputs in a folder, and something precious elsewhere."""
    monkeypatch.chdir(tmp_path)
    for name in ("in/a.png", "in/b.png", "in/deep/c.png", "elsewhere/precious.png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (len(name), 0, 0)).save(name)
    os.mkdir("out")
    return tmp_path


def chosen(given, output, **options):
    return read_apply_options({"input": given, "output": output, **options})


@pytest.mark.parametrize("given", ["in", "in/a.png", "in/b.png", "in/*.png"])
def test_a_comparison_does_not_take_the_place_of_a_picture_beside_the_inputs(place, given):
    with pytest.raises(UserError, match=r"--compare: got 'in/a\.png', which would overwrite"):
        chosen(given, "out/", compare="in/a.png")


def test_a_comparison_may_take_the_place_of_an_earlier_one(place, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(place / "home"))
    save_grid(np.zeros((1, 8, 8, 3)), "in/side.png", columns=1, origin=Origin("created", "beside", model="m"))
    assert chosen("in/a.png", "out/", compare="in/side.png").compare == "in/side.png"
    assert chosen("in/b.png", "out/", compare="in/a.png", overwrite="true").compare == "in/a.png"
    assert chosen("in/b.png", "out/", compare="elsewhere/precious.png").compare  # named by the user, beside no input


def test_outputs_masks_and_comparisons_are_kept_apart(place):
    with pytest.raises(UserError, match="overwrite an output"):
        chosen("in/a.png", "out/a.png", compare="out/../out/a.png")
    os.symlink("out", "link")
    with pytest.raises(UserError, match="overwrite an output"):
        chosen("in/a.png", "out/a.png", compare="link/a.png")
    with pytest.raises(UserError, match="overwrite a mask"):
        chosen("in/a.png", "link/../in/b.png", mask="in/b.png")


def test_two_inputs_never_have_one_output(place):
    for name in ("x.gif", "x.avif", "x.png", "x.gif.png", "x.avif.png"):
        Path("in", name).write_bytes(b"")
    pairs = pair_files("in", "out", overwrite=False)
    assert len({pair.target for pair in pairs}) == len(pairs) == 8


def test_an_output_folder_above_the_inputs_is_no_reason_to_find_none(place):
    assert {pair.name for pair in pair_files("in/deep", "in", overwrite=True)} == {"c.png"}


def test_a_link_in_the_output_folder_leads_nothing_out_of_it(place):
    os.symlink("../elsewhere", "out/deep")
    with pytest.raises(
        UserError, match=r"--output: 'out/deep' is, or is inside, a link, expected a folder inside 'out'"
    ):
        pair_files("in", "out", overwrite=False)
    os.remove("out/deep")
    os.mkdir("out/inside")
    os.symlink("inside", "out/deep")
    assert len(pair_files("in", "out", overwrite=False)) == 3


def test_a_link_as_output_is_replaced_itself(place):
    before = Path("elsewhere/precious.png").read_bytes()
    os.symlink("../in/b.png", "out/b.png")
    assert pair_files("in/b.png", "out/b.png", overwrite=False)  # the input stays what it is
    for write in (lambda path: save_image(np.zeros((4, 4, 3)), path), lambda path: replace_file(path, b"new")):
        Path("out/link.png").unlink(missing_ok=True)
        os.symlink("../elsewhere/precious.png", "out/link.png")
        write("out/link.png")
        assert not Path("out/link.png").is_symlink()
    assert Path("elsewhere/precious.png").read_bytes() == before


def test_a_temporary_file_is_none_that_lies_there(place):
    """The names of before, of a process whose number anybody can foretell."""
    for name in ("a.png", "a.safetensors"):
        for part in (f"out/.{name}.{os.getpid()}.part", f"out/{name}.part", f"out/{name}.signed", f"out/{name}.xmp"):
            os.symlink("../elsewhere/precious.png", part)
    before = Path("elsewhere/precious.png").read_bytes()
    save_image(np.zeros((4, 4, 3)), "out/a.png", Origin("created", "a test", model="m"))
    with replacing("out/a.safetensors") as part:
        part.write_bytes(b"weights")
    assert Path("elsewhere/precious.png").read_bytes() == before
    assert len(os.listdir("elsewhere")) == 1
    assert Path("out/a.safetensors").read_bytes() == b"weights"


@pytest.mark.parametrize("name", ["x" * 245 + ".png", "ö" * 120 + ".png"])
def test_a_name_as_long_as_a_file_system_takes(tmp_path, name):
    save_image(np.zeros((4, 4, 3)), tmp_path / name)
    replace_file(tmp_path / name.replace(".png", ".npz"), b"arrays")
    assert len(os.listdir(tmp_path)) == 2
    with Image.open(tmp_path / name) as picture:
        assert picture.size == (4, 4)


def test_a_program_is_written_in_the_place_of_a_link_only(place, monkeypatch):
    import jaxgan.commands.export as export

    monkeypatch.setattr(export, "start_jax", lambda config: None)
    monkeypatch.setattr(export, "load_model", lambda workdir, options, kind: type("Generator", (), {"step": 3}))
    monkeypatch.setitem(export.WRITERS, "stablehlo", lambda generator, path, chosen: Path(path).write_bytes(b"program"))
    os.symlink("../elsewhere/precious.png", "out/g.stablehlo.part")
    before = Path("elsewhere/precious.png").read_bytes()
    export.run(None, "", {"format": "stablehlo", "output": "out/g.stablehlo"})
    assert Path("out/g.stablehlo").read_bytes() == b"program"
    assert Path("elsewhere/precious.png").read_bytes() == before


@pytest.mark.parametrize("kind", ["link", "fifo", "folder"])
def test_a_lock_that_is_no_file_is_refused(place, kind):
    os.mkdir("run")
    before = hashlib.sha256(Path("elsewhere/precious.png").read_bytes()).hexdigest()
    if kind == "link":
        os.symlink("../elsewhere/precious.png", "run/lock")
    else:
        (os.mkfifo if kind == "fifo" else os.mkdir)("run/lock")
    with pytest.raises(UserError, match="--workdir=run: its lock cannot be opened"), Workdir("run").lock():
        pass
    assert hashlib.sha256(Path("elsewhere/precious.png").read_bytes()).hexdigest() == before


@pytest.mark.parametrize("name", ["log.txt", "scalars.jsonl"])
def test_files_that_grow_are_no_links(place, name):
    os.mkdir("run")
    os.symlink("../elsewhere/precious.png", f"run/{name}")
    with pytest.raises(UserError, match=f"{name} in it is not a regular file"):
        Workdir("run").create()


def test_the_segments_of_a_film_are_kept_in_no_link(place):
    before = Path("elsewhere/precious.png").read_bytes()
    os.symlink("elsewhere", segments.folder_of(Path("a.mp4")))
    with pytest.raises(PictureError, match="is a link"):
        segments.SegmentedFilm(Path("a.mp4"), None, {})
    assert Path("elsewhere/precious.png").read_bytes() == before
    assert os.listdir("elsewhere") == ["precious.png"]
    os.mkdir(segments.folder_of(Path("b.mp4")))
    os.symlink("../elsewhere/precious.png", segments.folder_of(Path("b.mp4")) / "lock")
    with pytest.raises(OSError, match="link"):
        segments.SegmentedFilm(Path("b.mp4"), None, {})
    assert Path("elsewhere/precious.png").read_bytes() == before
