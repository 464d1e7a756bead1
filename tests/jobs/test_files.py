"""Pairs of input and output files."""

import os

import pytest

from jaxgan.errors import UserError
from jaxgan.jobs.files import pair_files

pytestmark = pytest.mark.quick


@pytest.fixture
def folder(tmp_path):
    for name in ("in/a.jpg", "in/b.gif", "in/b.png", "in/c.gif", "in/deep/d.TIF", "in/notes.txt", "in/.hidden.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def paired(given, output, **options):
    pairs = pair_files(str(given), str(output), **{"overwrite": False, **options})
    return {pair.name: pair.target for pair in pairs}


def test_a_folder_keeps_its_names_and_its_folders(folder):
    out = folder / "out"
    expected = {
        "a.jpg": "a.jpg",
        "b.gif": "b.gif.png",  # b.png is another input's output
        "b.png": "b.png",
        "c.gif": "c.png",
        "deep/d.TIF": "deep/d.TIF",
        "notes.txt": "notes.png",  # that it is not a picture is reported when it is read
    }
    assert paired(folder / "in", out) == {name: out / target for name, target in expected.items()}


@pytest.mark.parametrize("name", ["results_v1.5", "run.2024-11-30", "a.b c", "notes.txt/", "out."])
def test_a_dot_may_be_part_of_a_folders_name(folder, name):
    assert paired(folder / "in" / "a.jpg", f"{folder}/{name}") == {"a.jpg": folder / name / "a.jpg"}


def test_an_output_folder_in_the_input_folder_is_no_input(folder):
    out = folder / "in" / "deep"
    assert "deep/d.TIF" not in paired(folder / "in", out)


def test_patterns_and_single_files(folder, monkeypatch):
    assert set(paired(folder / "in" / "*.gif", folder / "out")) == {"b.gif", "c.gif"}
    assert set(paired(folder / "in" / "**" / "*.TIF", folder / "out")) == {"d.TIF"}
    assert paired(folder / "in" / "a.jpg", folder / "new.png") == {"a.jpg": folder / "new.png"}
    assert paired(folder / "in" / "a.jpg", folder / "new") == {"a.jpg": folder / "new" / "a.jpg"}
    assert paired(folder / "in" / "c.gif", folder / "in") == {"c.gif": folder / "in" / "c.png"}
    (folder / "in" / "x[1].png").write_text("brackets")
    assert set(paired(folder / "in" / "x[1].png", folder / "out")) == {"x[1].png"}
    monkeypatch.chdir(folder / "in")
    assert paired("a.jpg", f"..{os.sep}new.png")["a.jpg"].resolve() == (folder / "new.png").resolve()


@pytest.mark.parametrize(
    ("given", "output", "words"),
    [
        ("in/nothing.png", "out", "expected a file, a folder with files"),
        ("in/*.avif", "out", "expected a file, a folder with files"),
        ("empty", "out", "expected a file, a folder with files"),
        ("in", "out.png", "expected a folder, for several pictures"),
        ("in/*.gif", "out.png", "expected a folder, for several pictures"),
        ("in/a.jpg", "out.gif", "expected one of .png, .jpg"),
        ("in/a.jpg", "notes_of.txt", "expected one of .png, .jpg"),
        ("in", "in/notes", "is a file"),
        ("in/a.jpg", "in/a.jpg", "a.jpg would overwrite an input"),
        ("in", "in", "would overwrite an input"),
    ],
)
def test_a_mistake_is_one_line(folder, given, output, words):
    (folder / "empty").mkdir()
    (folder / "in" / "notes").write_text("a file without a suffix")
    with pytest.raises(UserError, match=words):
        paired(folder / given, folder / output)


def test_inputs_are_replaced_where_that_is_asked_for(folder):
    assert paired(folder / "in", folder / "in", overwrite=True)["a.jpg"] == folder / "in" / "a.jpg"


def test_links_that_lead_back_are_no_further_inputs(folder):
    for name in ("up", "again"):
        (folder / "in" / "deep" / name).symlink_to("..")
    (folder / "in" / "self.png").symlink_to("self.png")
    skipped = []
    everything = set(paired(folder / "in", folder / "out", skipped=skipped))
    assert everything == {"a.jpg", "b.gif", "b.png", "c.gif", "deep/d.TIF", "notes.txt"}
    assert skipped == ["--input: skipped 1 file or folder: self.png (the link points to itself)"]
    assert set(paired(folder / "in" / "**" / "*.[gT]*", folder / "out")) == {"b.gif", "c.gif", "deep/d.TIF"}
    assert set(paired(folder / "in" / "**" / "deep" / "**", folder / "out")) == {"d.TIF"}
