"""What was found in a folder is cached in a file, which is rebuilt if it is damaged."""

from pathlib import Path

import pytest
from fuzzing import mutants, read_mutants

from jaxgan.data import folder_index
from jaxgan.data.folder_index import index_folder
from jaxgan.data.folder_memory import read_rows


@pytest.fixture
def kept(tmp_path, draw, monkeypatch):
    """A folder, what was found in it, and the cache file."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for number in range(3):
        draw(tmp_path / "data" / f"{number}.png")
    (tmp_path / "data" / "broken.png").write_bytes(b"x")
    found = index_folder(tmp_path / "data")
    (path,) = (tmp_path / "cache" / "jaxgan" / "folders").iterdir()
    return tmp_path / "data", found, path


def again(folder: Path):
    folder_index._examine.cache_clear()  # as in another process
    return index_folder(folder)


def test_a_damaged_file_is_made_anew(kept):
    folder, found, path = kept
    whole = path.read_bytes()
    for broken in (b"", b"[]", b"\xff\xfe", whole[:-5], whole.replace(b"8", b"9"), *mutants([whole], 20)):
        path.write_bytes(broken)
        assert again(folder) == found
        assert read_rows(path)
    assert path.read_bytes() == whole


def test_a_cache_that_cannot_be_written_costs_time_only(kept, monkeypatch):
    folder, found, path = kept
    path.unlink()
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "0.png"))  # a file
    assert again(folder) == found


@pytest.mark.slow
def test_mutants_are_refused(kept):
    _, _, path = kept
    told = read_mutants(read_rows, [path.read_bytes()], path, refusals=(ValueError,))
    assert told["refused"] > 990
