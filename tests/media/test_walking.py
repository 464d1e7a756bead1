"""Every real folder is visited once, in a stable order, with any links and permissions."""

import os

import pytest

from jaxgan.media import walking
from jaxgan.media.walking import Walk, report_failures

pytestmark = pytest.mark.quick


@pytest.fixture
def folder(tmp_path):
    for name in ("root/b/1.png", "root/a/1.png", "root/a/deep/2.png", "root/0.png", "other/o.png", "beside.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path / "root"


def names(walk):
    return [each.path.relative_to(walk.root).as_posix() for each in walk]


PLAIN = ["0.png", "a/1.png", "a/deep/2.png", "b/1.png"]


def test_links_that_lead_back_add_nothing(folder):
    (folder / "a" / "up").symlink_to("..")
    (folder / "b" / "up").symlink_to("..")
    (folder / "above").symlink_to("../..")  # the folder that contains the root
    (folder / "self").symlink_to(".")
    walk = Walk(folder)
    assert names(walk) == PLAIN
    assert sorted(each.name for each in walk.again) == ["above", "self", "up", "up"]
    assert walk.failures == []


def test_a_folder_with_two_names_is_entered_by_its_own(folder):
    (folder / "_first").symlink_to("b")
    (folder / "other").symlink_to("../other")
    (folder / "third").symlink_to("../other")
    walk = Walk(folder)
    assert names(walk) == [*PLAIN, "other/o.png"]
    assert [each.name for each in walk.again] == ["_first", "third"]
    assert names(walk) == [*PLAIN, "other/o.png"]  # a walk can be repeated


def test_what_is_left_out(folder):
    for name in ("@eaDir", "a/@eaDir", "__MACOSX", ".thumbnails", "lost+found", "#recycle"):
        (folder / name).mkdir()
        (folder / name / "x.png").write_text("")
    (folder / "._0.png").write_text("")
    assert names(Walk(folder)) == PLAIN
    assert [each.path.name for each in Walk(folder / "@eaDir")] == ["x.png"]  # a root named explicitly is walked


def test_every_error_is_kept_and_the_rest_is_found(folder, monkeypatch):
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "gone.png").symlink_to("nowhere.png")
    os.mkfifo(folder / "pipe.png")
    scandir = os.scandir

    def denied(path):
        if os.path.basename(path) == "a":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(walking.os, "scandir", denied)
    walk = Walk(folder)
    assert names(walk) == ["0.png", "b/1.png"]
    assert {each.path.name: each.reason for each in walk.failures} == {
        "gone.png": "the link is broken",
        "loop.png": "the link points to itself",
        "pipe.png": "it is not a regular file",
        "a": "Permission denied",
    }
    told = report_failures(walk.failures, folder)
    assert told == "4 files or folders, such as gone.png (the link is broken)"
    assert report_failures(walk.failures[:1], folder) == "1 file or folder: gone.png (the link is broken)"
    assert report_failures([], folder) == ""


def test_a_root_that_is_not_there_is_a_failure(tmp_path):
    walk = Walk(tmp_path / "none")
    assert names(walk) == []
    assert [each.reason for each in walk.failures] == ["No such file or directory"]


def test_names_that_are_no_utf8(folder):
    name = os.fsdecode(b"caf\xe9\x1b[31m.png")
    (folder / name).write_text("")
    (folder / os.fsdecode(b"x\xe9")).symlink_to("nowhere")
    walk = Walk(folder)
    assert name in names(walk)
    report_failures(walk.failures, folder).encode()  # must be printable


def test_folders_nested_deeper_than_the_recursion_limit(tmp_path):
    os.makedirs(tmp_path / "top")
    here = os.open(tmp_path / "top", os.O_RDONLY)
    try:
        for _ in range(100):  # a path longer than the system accepts in one call
            os.mkdir("d" * 60, dir_fd=here)
            below = os.open("d" * 60, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
    finally:
        os.close(here)
    walk = Walk(tmp_path / "top")
    assert names(walk) == []
    assert [each.reason for each in walk.failures] == ["File name too long"]
