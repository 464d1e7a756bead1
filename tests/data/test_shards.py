"""Identifying the contents of large files."""

import os

import pytest

from jaxgan.building.opening import open_source
from jaxgan.data import shards
from jaxgan.data.account import account
from jaxgan.data.shards import BLOCK, contents_of


@pytest.fixture
def files(tmp_path):
    for number in range(3):
        (tmp_path / f"shard-{number}").write_bytes(os.urandom(10 * BLOCK))
    return sorted(tmp_path.iterdir())


@pytest.mark.parametrize("place", [0, BLOCK - 1, 3 * BLOCK, 6 * BLOCK + 5, 10 * BLOCK - 1])
def test_a_byte_in_a_block_tells(files, place):
    before = contents_of(files)
    assert contents_of(reversed(files)) == before
    content = bytearray(files[1].read_bytes())
    content[place] ^= 1
    files[1].write_bytes(content)
    os.utime(files[1], ns=(1, 1))
    assert contents_of(files) != before


def test_names_and_sizes_tell(files, tmp_path):
    before = contents_of(files)
    with open(files[0], "ab") as file:
        file.write(b"x")
    longer = contents_of(files)
    files[2].unlink()
    gone = contents_of(files)
    files[2].mkdir()  # cannot be read as a file
    assert len({before, longer, gone, contents_of(files[:2])}) == 4
    assert contents_of([]) == contents_of(())


def test_of_many_files_some_are_read_and_all_are_measured(tmp_path, monkeypatch):
    read = []
    for number in range(200):
        (tmp_path / f"{number:03}").write_bytes(b"x")
    monkeypatch.setattr(shards, "_hash", lambda path, *_: read.append(path.name) or "")
    before = contents_of(tmp_path.iterdir())
    assert len(read) == shards.FILES
    (tmp_path / "001").write_bytes(b"xy")
    assert contents_of(tmp_path.iterdir()) != before


def test_a_prepared_data_set_tells_of_itself(digits_config):
    train, part, small, test = (
        open_source(digits_config(**changes), split).spec
        for split, changes in (("train", {}), ("train[:2%]", {}), ("train", {"resolution": 16}), ("test", {}))
    )
    assert train.contents == part.contents == small.contents != test.contents
    assert account(part, test, 256) == [
        "data      jaxgan_digits/1.0.0: images of 28 x 28 pixels",
        "splits    test 500, train 4,500",
        "classes   10: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9",
        "in use    90 examples of train[:2%] are trained on, 500 of test are held out for scores",
        "batch     256 images, more than the 90 examples: each batch repeats some of them",
    ]
    assert ("pixels", "resized to 16 x 16") in small.findings
