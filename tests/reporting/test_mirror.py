"""Growing files behind a remote work directory."""

import pathlib

import pytest
from etils import epath

from jaxgan.reporting.mirror import Mirror


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_a_file_grows_in_both_places(tmp_path):
    remote, clock = epath.Path(tmp_path) / "bucket", Clock()
    remote.mkdir()
    (remote / "log.txt").write_text("before\n")
    mirror = Mirror(remote, seconds=10, clock=clock)
    mirror.fetch("log.txt")
    mirror.fetch("not there")
    with open(mirror.folder / "log.txt", "a") as file:
        file.write("after\n")
    mirror.copy()
    assert (remote / "log.txt").read_text() == "before\n"  # the interval has not passed
    clock.now = 11
    mirror.copy()
    mirror._copying.result()
    assert (remote / "log.txt").read_text() == "before\nafter\n"
    (mirror.folder / "events").mkdir()
    (mirror.folder / "events" / "1").write_bytes(b"\x00\xff")
    mirror.close()
    assert (remote / "events" / "1").read_bytes() == b"\x00\xff"
    assert not pathlib.Path(mirror.folder).exists()


def test_an_unchanged_file_is_not_copied_again(tmp_path):
    remote = epath.Path(tmp_path) / "bucket"
    mirror = Mirror(remote, seconds=0)
    (mirror.folder / "log.txt").write_text("mine")
    mirror.copy()
    mirror._copying.result()
    (remote / "log.txt").write_text("somebody else's")
    mirror.close()
    assert (remote / "log.txt").read_text() == "somebody else's"


def test_a_failed_copy_is_logged_and_made_up_for(tmp_path, caplog):
    (tmp_path / "bucket").write_text("in the way")
    mirror = Mirror(epath.Path(tmp_path) / "bucket", seconds=0)
    (mirror.folder / "log.txt").write_text("mine")
    mirror.copy()
    mirror._copying.result()
    assert "bucket could not be written: " in caplog.text
    (tmp_path / "bucket").unlink()
    mirror.close()
    assert (tmp_path / "bucket" / "log.txt").read_text() == "mine"


@pytest.mark.parametrize("name", ["scalars.jsonl", "events/2"])
def test_closing_copies(tmp_path, name):
    mirror = Mirror(epath.Path(tmp_path) / "bucket")
    (mirror.folder / name).parent.mkdir(exist_ok=True)
    (mirror.folder / name).write_text("x")
    mirror.close()
    assert (tmp_path / "bucket" / name).read_text() == "x"
