"""If the disk has no room for marks, the picture stays intact, and a remark reports it."""

import io
import resource
import signal
import tempfile

import numpy as np
import pytest
from PIL import Image
from signing import CREATED, film, make

from jaxgan.media.images import save_image
from jaxgan.media.provenance import credentials
from jaxgan.media.provenance.credentials import State
from jaxgan.media.provenance.origin import Unsigned, mark_bytes, mark_file, read_statement, read_xmp
from jaxgan.media.videos import save_animation

pytest.importorskip("c2pa")
pytestmark = pytest.mark.usefixtures("installation")


@pytest.fixture
def room():
    """Limits the size of files, which simulates a full disk."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("name", ["grey.png", "a.jpg", "a.webp", "moving.webp", "a.tif", "moving.gif", "a.mp4"])
@pytest.mark.parametrize("more", [0, 10, 300, 1500])
def test_a_file_without_room_for_marks_stays_whole(name, more, tmp_path, room):
    path = make(tmp_path / name)
    before = path.read_bytes()
    room(len(before) + more)
    remarks = mark_file(path, path.suffix, CREATED, title=name)
    room(resource.RLIM_INFINITY)
    assert remarks
    assert {type(each) for each in remarks} == {Unsigned}
    assert all(each.endswith("File too large") for each in remarks)
    assert [each.name for each in tmp_path.iterdir() if each.name != "home"] == [name]
    if more < 1000:
        assert path.read_bytes() == before
    assert (read_xmp(path) is not None) == (more > 1000 and len(remarks) == 1)


@pytest.mark.parametrize("content", ["picture", "film"])
def test_a_full_temporary_folder_costs_only_the_credential(content, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    path = tmp_path / ("a.png" if content == "picture" else "a.gif")
    pixels = np.random.default_rng(0).integers(0, 256, (4, 8, 9, 3), dtype=np.uint8)
    if content == "picture":
        remarks = save_image(pixels[0], path, CREATED)
        with Image.open(path) as image:
            np.testing.assert_array_equal(np.asarray(image), pixels[0])
    else:
        remarks = save_animation(pixels, path, 10, CREATED)
        with Image.open(path) as image:
            assert image.n_frames == 4
    assert remarks == ("no signed credential: no temporary file: No such file or directory",)
    assert isinstance(remarks[0], Unsigned)
    assert read_statement(path).model == "a run"


@pytest.mark.parametrize("name", ["grey.png", "a.jpg", "a.webp", "moving.webp", "a.tif", "moving.gif", "a.avif"])
def test_in_memory_it_is_the_same_as_in_a_file(name, tmp_path, monkeypatch):
    path = make(tmp_path / name)
    content = path.read_bytes()
    marked, _ = mark_bytes(content, path.suffix, CREATED, title=name)
    (tmp_path / f"1-{name}").write_bytes(marked)
    assert credentials.read(tmp_path / f"1-{name}").state is State.OURS
    monkeypatch.setattr(credentials, "available", lambda: False)
    whole, _ = mark_bytes(content, path.suffix, CREATED, title=name)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    other, _ = mark_bytes(content, path.suffix, CREATED, title=name)
    assert len(whole) == len(other)
    with Image.open(io.BytesIO(whole)) as one, Image.open(io.BytesIO(other)) as two:
        np.testing.assert_array_equal(np.asarray(one), np.asarray(two))


def test_a_film_that_cannot_hold_the_mark_still_plays(tmp_path, room):
    path = film(tmp_path / "a.mov")
    before = path.read_bytes()
    room(len(before) + 500)
    mark_file(path, ".mov", CREATED, title="a.mov")
    room(resource.RLIM_INFINITY)
    assert path.read_bytes() == before
    assert mark_file(path, ".mov", CREATED, title="a.mov") == ()
    assert credentials.read(path).state is State.OURS
