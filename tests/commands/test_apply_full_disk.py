"""A large output lies in a file of the output's folder: what happens where the disk has no room for it."""

import errno
import os

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxgan.errors import FINISHED, SOME_FAILED
from jaxgan.inference.restorer import Restorer
from jaxgan.jobs import pictures

DOUBLED = Restorer(lambda x: jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2), 2, 3, 3, "pictures that were halved", 0)
LIMIT = 20_000  # bytes that the disk has


@pytest.fixture
def inputs(tmp_path, monkeypatch):
    """Of which the outputs have 7,200 and 50,400 bytes."""
    monkeypatch.setattr(pictures, "IN_MEMORY", 1000)
    for name, side in (("large.png", 60), ("small.png", 20)):
        samples = np.random.default_rng(0).integers(0, 256, (side, side + 10, 3), np.uint8)
        (tmp_path / "in").mkdir(exist_ok=True)
        Image.fromarray(samples).save(tmp_path / "in" / name)
    return tmp_path / "in"


def test_what_does_not_fit_is_told_before_it_is_computed_and_the_rest_is_done(
    inputs, tmp_path, apply, monkeypatch, capsys
):
    asked, tiles = [], []

    def fallocate(file, start, size):
        asked.append(size)
        if size > LIMIT:
            raise OSError(errno.ENOSPC, "No space left on device")
        os.ftruncate(file, size)

    monkeypatch.setattr(os, "posix_fallocate", fallocate)
    counted = DOUBLED.__class__(
        lambda x: (tiles.append(len(x)), DOUBLED.apply(x))[1], 2, 3, 3, "pictures that were halved", 0
    )
    assert apply(counted, inputs, tmp_path / "out", tile=24, batch_size=1) == SOME_FAILED
    assert sorted(asked) == [4 * 20 * 30 * 3, 4 * 60 * 70 * 3]
    told = capsys.readouterr().out
    failed = next(line for line in told.splitlines() if line.startswith("large.png: failed"))
    assert "a picture of 140 x 120 needs 50.4 KB while it is computed" in failed
    assert "No space left on device (the disk mounted at /" in failed
    assert "1 of 2 pictures restored, 1 failed" in told
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["small.png"]
    assert sum(tiles) < 12  # of the large one, which has more, no more than those of its first row


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EINVAL])
def test_a_file_system_that_cannot_reserve_gets_zeros(number, inputs, tmp_path, apply, monkeypatch):
    def fallocate(*_):
        raise OSError(number, "it does not know how")

    monkeypatch.setattr(os, "posix_fallocate", fallocate)
    monkeypatch.setattr(pictures, "ZEROS", 5000)  # written at once
    assert apply(DOUBLED, inputs, tmp_path / "out", tile=24) == FINISHED
    with Image.open(tmp_path / "out" / "large.png") as after, Image.open(inputs / "large.png") as before:
        np.testing.assert_array_equal(np.asarray(after), np.asarray(before).repeat(2, axis=0).repeat(2, axis=1))


def test_the_room_is_there_before_anything_is_written_into_it(tmp_path):
    """A map of a file that has only its length ends the process when the disk is full."""
    with open(tmp_path / "file", "w+b") as file:
        pictures.reserve(file.fileno(), 300_000)
        assert os.fstat(file.fileno()).st_size == 300_000
        assert os.fstat(file.fileno()).st_blocks * 512 >= 300_000
