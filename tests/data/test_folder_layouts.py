"""Other files in a folder of pictures, and the meaning of the names of its subfolders."""

from __future__ import annotations

import logging
import os

import pytest
from PIL import Image

from jaxgan.building.opening import open_source
from jaxgan.data.account import account
from jaxgan.data.folder_index import index_folder
from jaxgan.errors import UserError
from jaxgan.media import walking


@pytest.fixture
def twelve(tmp_path, draw):
    """Twelve pictures in two classes."""
    for number in range(6):
        for name in ("a", "b"):
            draw(tmp_path / "data" / name / f"{number}.png", (number, 0, 0))
    return tmp_path / "data"


def both(config):
    return [open_source(config, split).spec for split in ("train", "test")]


def errors_of(spec):
    return {title: " | ".join(text for each, text in spec.findings if each == title) for title, _ in spec.findings}


@pytest.mark.parametrize("links", [["a/up"], ["a/up", "b/up"], ["up"], ["a/up", "again"]])
def test_links_to_folders_that_they_lie_in_add_nothing(twelve, data_config, links):
    before = [(spec.size, spec.classes, spec.fingerprint) for spec in both(data_config(twelve))]
    for link in links:
        (twelve / link).symlink_to("..")
    after = both(data_config(twelve))
    assert [(spec.size, spec.classes, spec.fingerprint) for spec in after] == before
    assert f"{len(links)} link" in errors_of(after[0])["ignored"]


def test_links_to_other_folders_are_followed(tmp_path, draw, data_config):
    for number in range(3):
        draw(tmp_path / "elsewhere" / f"{number}.png")
        draw(tmp_path / "data" / "own" / f"{number}.png")
    (tmp_path / "data" / "linked").symlink_to("../elsewhere")
    train, test = both(data_config(tmp_path / "data"))
    assert (train.size + test.size, train.classes) == (6, ("linked", "own"))


def test_what_cannot_be_read_is_told_and_the_rest_is_read(twelve, data_config, caplog, monkeypatch):
    (twelve / "a" / "loop.png").symlink_to("loop.png")
    (twelve / "b" / os.fsdecode(b"caf\xe9.png")).write_bytes((twelve / "b" / "0.png").read_bytes())
    (twelve / os.fsdecode(b"\xe9t\xe9")).mkdir()
    (twelve / os.fsdecode(b"\xe9t\xe9") / "1.png").write_bytes((twelve / "b" / "0.png").read_bytes())
    (twelve / "locked").mkdir()
    scandir = os.scandir

    def denied(path):
        if os.path.basename(path) == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(walking.os, "scandir", denied)
    with caplog.at_level(logging.WARNING):
        train, test = both(data_config(twelve))
    assert train.size + test.size == 14
    assert train.classes == ("a", "b", "\\xe9t\\xe9")  # in the order of their bytes
    assert caplog.text.count("skipped 2 files or folders, such as a/loop.png (the link points to itself)") == 1
    "\n".join(account(train, test, 64)).encode()  # can be printed


@pytest.mark.parametrize(
    ("folders", "train", "test"),
    [
        (("train", "valid"), "train", "valid"),
        (("Training", "VALIDATION"), "Training", "VALIDATION"),
        (("train", "dev", "eval"), "train", "eval"),
        (("train", "val", "test"), "train", "test"),
        (("TRAIN", "Test"), "TRAIN", "Test"),
    ],
)
def test_folders_named_like_splits_are_splits(tmp_path, draw, data_config, folders, train, test):
    for place, name in enumerate(folders):
        for label in ("cat", "dog"):
            for number in range(place + 2):
                draw(tmp_path / name / label / f"{number}.png")
    sources = [open_source(data_config(tmp_path), split) for split in ("train", "test")]
    for source, folder in zip(sources, (train, test)):
        assert {name.split("/")[0] for name in source.names} == {folder}
        assert source.spec.classes == ("cat", "dog")
        assert source.spec.split == folder  # the name of the folder, whatever the config calls it
    assert f"{train} 4" in errors_of(sources[0].spec)["splits"]
    for name in folders:
        assert open_source(data_config(tmp_path), name).spec.size == 2 * (folders.index(name) + 2)


def test_a_split_without_a_picture_says_what_to_add(tmp_path, draw, data_config):
    draw(tmp_path / "0.png")
    with pytest.raises(
        UserError, match=r"the split 'test' .* is empty \(readable images of all splits: 1\): add pictures"
    ):
        open_source(data_config(tmp_path), "test")


def test_a_lone_folder_for_training_holds_classes(tmp_path, draw, data_config):
    for label in ("cat", "dog"):
        for number in range(20):
            draw(tmp_path / "train" / label / f"{number}.png")
    train, test = both(data_config(tmp_path))
    assert train.classes == test.classes == ("cat", "dog")
    assert train.size + test.size == 40
    assert 0 < test.size < 15


def test_a_train_among_other_vehicles_is_a_class(tmp_path, draw, data_config):
    for label in ("bus", "car", "train"):
        for number in range(4):
            draw(tmp_path / label / f"{number}.png")
    assert both(data_config(tmp_path))[0].classes == ("bus", "car", "train")


def test_splits_of_which_none_is_for_training_are_named(tmp_path, draw, data_config):
    for label in ("test", "valid"):
        for number in range(4):
            draw(tmp_path / label / f"{number}.png")
    with pytest.raises(UserError, match="has no split 'train'; it has test, valid"):
        open_source(data_config(tmp_path), "train")
    assert open_source(data_config(tmp_path), "valid").spec.size == 4


def test_pictures_beside_splits_are_told(tmp_path, draw, data_config):
    for name in ("train/1.png", "train/2.png", "val/1.png", "stray.png"):
        draw(tmp_path / name)
    train, test = both(data_config(tmp_path))
    assert (train.size, test.size) == (2, 1)
    assert "outside of them and not used: 1: stray.png" in errors_of(train)["splits"]


def test_folders_that_programs_make_are_no_classes(twelve, draw, data_config):
    before = [spec.fingerprint for spec in both(data_config(twelve))]
    for name in ("@eaDir", "a/@eaDir", "__MACOSX", ".thumbnails", "a/.thumbnails", "b/@EADIR"):
        draw(twelve / name / "1.png")
    after = both(data_config(twelve))
    assert after[0].classes == ("a", "b")
    assert [spec.fingerprint for spec in after] == before


def test_what_an_older_version_made_of_folders_is_unchanged(tmp_path, data_config):
    """Fingerprints equal those of the version with case-sensitive splits; bitmaps have the same size everywhere."""
    for number in range(30):
        for name in (
            f"classes/{'abc'[number % 3]}/{number}.bmp",
            f"flat/{number}.bmp",
            f"splits/{'train' if number % 3 else 'test'}/{'xy'[number % 2]}/{number}.bmp",
            f"lone/train/{number}.bmp",
        ):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / name)
    found = {name: [spec.fingerprint for spec in both(data_config(tmp_path / name))] for name in PINNED}
    assert found == PINNED


PINNED = {
    "classes": ["f1a9d36053eb6dfe", "eb7258ffe3c168b2"],
    "flat": ["96e8260e2c5c70ca", "8fd11a35358532b3"],
    "splits": ["9d06db59d577b931", "8b901f00db59ab58"],
    "lone": ["bb22f9a3ebfc043d", "6105d8cbd6356a75"],
}


def test_files_without_a_suffix_and_kinds_that_a_plugin_reads(twelve, data_config, monkeypatch):
    picture = (twelve / "a" / "0.png").read_bytes()
    (twelve / "a" / "picture").write_bytes(picture)
    (twelve / "a" / "README").write_text("no picture")
    (twelve / "b" / "photo.HEIC").write_bytes(picture)
    (twelve / "b" / "notes.txt").write_text("text")
    specs = both(data_config(twelve))
    assert sum(spec.size for spec in specs) == 13
    assert errors_of(specs[0])["skipped"] == "images in unsupported formats: 1 .heic"
    assert errors_of(specs[0])["ignored"] == "files of other kinds: 1 .txt, 1 without a suffix"
    monkeypatch.setitem(Image.EXTENSION, ".heic", "PNG")  # as a plugin does
    assert sum(spec.size for spec in both(data_config(twelve))) == 14


def test_avif_is_read(tmp_path, data_config):
    for number in range(3):
        Image.new("RGB", (8, 8), (10 * number, 0, 0)).save(tmp_path / f"{number}.avif")
    assert [spec.size for spec in both(data_config(tmp_path))] == [2, 1]


def test_a_folder_of_what_cannot_be_read_says_what_there_is(tmp_path, data_config):
    (tmp_path / "a.heic").write_bytes(b"x")
    (tmp_path / "gone.png").symlink_to("nowhere")
    with pytest.raises(UserError, match=r"holds no images .*; images in unsupported formats: 1 \.heic; 1 file or"):
        open_source(data_config(tmp_path), "train")


def test_everything_that_is_done_with_pictures_is_told(tmp_path, draw, data_config):
    for number in range(8):
        draw(tmp_path / "a" / f"{number}.png", (1, 2, 3), size=(20, 10))
        draw(tmp_path / "b" / f"{number}.png", (1, 2, 3), size=(8, 8))
    Image.new("RGBA", (8, 8), (1, 2, 3, 255)).save(tmp_path / "b" / "opaque.png")
    Image.new("RGBA", (8, 8), (1, 2, 3, 100)).save(tmp_path / "b" / "clear.png")
    Image.new("P", (8, 8)).save(tmp_path / "b" / "palette.png")
    train, test = both(data_config(tmp_path, resolution=8))
    told = account(train, test, 64)
    held_out = test.size
    assert told == [
        f"data      {tmp_path}: 19 pictures from 8 x 8 to 20 x 10 pixels",
        f"splits    train {19 - held_out}, test {held_out} ({held_out / 19:.0%} held out, by the hash of their names)",
        "classes   2: a 8, b 11",
        "pixels    8 of 19 pictures are resized to 8 x 8, 8 of them cropped to a square first",
        "          1 with transparent parts are laid on white: b/clear.png",
        "read as   1 picture: b/palette.png (a palette, read as colours)",
        f"in use    {19 - held_out} examples of train are trained on, {held_out} of test are held out for scores",
        f"batch     64 images, more than the {19 - held_out} examples: each batch repeats some of them",
    ]
    assert not any(line.startswith("batch") for line in account(train, None, 4))


def test_contents_are_told_apart_where_names_and_sizes_are_equal(twelve, data_config):
    def mark():
        return [(spec.fingerprint, spec.contents) for spec in both(data_config(twelve))]

    before = mark()
    path = twelve / "a" / "0.png"
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    path.write_bytes(path.read_bytes()[:-1] + b"x")  # in a checksum that Pillow ignores
    os.utime(path, ns=times)  # only the time of the entry differs
    after = mark()
    assert [each[0] for each in after] == [each[0] for each in before]
    assert after != before


def test_only_what_is_new_is_looked_at(twelve, monkeypatch):
    from jaxgan.data import folder_index

    looked = []
    probe = folder_index._probe
    monkeypatch.setattr(folder_index, "_probe", lambda root, *file: looked.append(file[0]) or probe(root, *file))
    assert len(index_folder(twelve).entries) == 12
    (twelve / "a" / "new.png").write_bytes((twelve / "a" / "0.png").read_bytes())
    (twelve / "b" / "1.png").unlink()
    folder_index._examine.cache_clear()  # as in another process
    assert len(index_folder(twelve).entries) == 12
    assert looked[12:] == ["a/new.png"]


def test_a_camera_that_writes_a_turn_that_there_is_not(tmp_path):
    for orientation in (9, 65535):
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.new("RGB", (20, 10)).save(tmp_path / f"{orientation}.jpg", exif=exif)
    assert {(entry.width, entry.height) for entry in index_folder(tmp_path).entries} == {(20, 10)}
