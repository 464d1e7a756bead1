"""Folders of images: splits, classes, odd files."""

from __future__ import annotations

import hashlib
import logging
import os

import numpy as np
import pytest
from PIL import Image

from jaxgan.building.opening import open_source
from jaxgan.building.pipelines import make_pipeline
from jaxgan.errors import UserError
from jaxgan.fields import pixel_field


def read_all(source):
    return source.read(range(source.spec.size))


def test_class_folders_are_labels_in_sorted_order(tmp_path, draw, data_config):
    colours = {"cat": (255, 0, 0), "ape": (0, 255, 0), "dog": (0, 0, 255)}
    for name, colour in colours.items():
        for number in range(8):
            draw(tmp_path / name / f"{number}.png", colour)
    train, test = (open_source(data_config(tmp_path), split) for split in ("train", "test"))
    assert train.spec.classes == test.spec.classes == ("ape", "cat", "dog")
    assert train.spec.image == pixel_field(8, 8, 3)
    assert train.spec.size + test.spec.size == 24
    fields = read_all(train)
    assert fields["label"].dtype == np.int32
    expected = np.array([colours[train.spec.classes[label]] for label in fields["label"]])
    np.testing.assert_array_equal(fields["image"][:, 3, 3], expected)


def test_flat_folder_has_no_labels_and_holds_out_a_fixed_tenth(tmp_path, draw, data_config):
    for number in range(60):
        draw(tmp_path / f"{number:02}.png", number, mode="L")
    train, test = (read_all(open_source(data_config(tmp_path), split)) for split in ("train", "test"))
    assert set(train) == {"image"}
    levels = [set(fields["image"][:, 0, 0, 0].tolist()) for fields in (train, test)]
    assert levels[0] | levels[1] == set(range(60))
    assert not levels[0] & levels[1]
    assert 1 <= len(levels[1]) <= 15
    for number in range(60, 70):
        draw(tmp_path / f"{number:02}.png", number, mode="L")
    after = set(read_all(open_source(data_config(tmp_path), "test"))["image"][:, 0, 0, 0].tolist())
    assert levels[1] <= after  # new files do not move old ones


def test_a_few_images_still_hold_one_out(tmp_path, draw, data_config):
    for number in range(3):
        draw(tmp_path / f"{number}.png")
    assert [open_source(data_config(tmp_path), split).spec.size for split in ("train", "test")] == [2, 1]


def test_train_and_test_folders_are_splits_with_common_classes(tmp_path, draw, data_config):
    for path in ("train/a/1.png", "train/a/2.png", "train/b/1.png", "test/b/1.png"):
        draw(tmp_path / path)
    train, test = (open_source(data_config(tmp_path), split) for split in ("train", "test"))
    assert read_all(train)["label"].tolist() == [0, 0, 1]
    assert read_all(test)["label"].tolist() == [1]
    with pytest.raises(UserError, match="no split 'validation'; it has test, train"):
        open_source(data_config(tmp_path), "validation")


def test_exif_orientation_is_applied(tmp_path, data_config):
    upright = np.zeros((6, 6), np.uint8)
    upright[0, :3] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise, so stored turned the other way
    Image.fromarray(np.rot90(upright)).save(tmp_path / "a.png", exif=exif)
    Image.fromarray(upright).save(tmp_path / "b.png")
    source = open_source(data_config(tmp_path), "train")
    np.testing.assert_array_equal(source.read([0])["image"][0, ..., 0], upright)


def test_unreadable_files_are_skipped_by_name(tmp_path, draw, data_config, caplog):
    for number in range(5):
        draw(tmp_path / f"{number}.png", size=(64, 64))
    whole = (tmp_path / "4.png").read_bytes()
    (tmp_path / "4.png").write_bytes(whole[: len(whole) // 2])
    draw(tmp_path / "5.jpg", size=(64, 64))
    whole = (tmp_path / "5.jpg").read_bytes()
    (tmp_path / "5.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "junk.jpg").write_bytes(b"no picture")
    (tmp_path / "notes.txt").write_text("no picture either")
    (tmp_path / "._0.png").write_bytes(b"hidden")
    with caplog.at_level(logging.WARNING):
        sizes = [open_source(data_config(tmp_path), split).spec.size for split in ("train", "test")]
    assert sum(sizes) == 4
    assert "skipped 3 unreadable images" in caplog.text
    assert all(name in caplog.text for name in ("4.png", "5.jpg", "junk.jpg"))
    assert "notes.txt" not in caplog.text
    assert "._0.png" not in caplog.text


def test_what_was_found_is_remembered_until_a_file_changes(tmp_path, draw, data_config, monkeypatch):
    from jaxgan.data import folder_index

    for number in range(4):
        draw(tmp_path / f"{number}.png")
    looked = []
    probe = folder_index._probe
    monkeypatch.setattr(folder_index, "_probe", lambda root, *file: looked.append(file) or probe(root, *file))
    for _ in range(2):
        folder_index._examine.cache_clear()  # as in another process
        assert open_source(data_config(tmp_path), "train").spec.size == 3
    assert len(looked) == 4
    (tmp_path / "3.png").write_bytes(b"broken")
    assert open_source(data_config(tmp_path), "train").spec.size == 2


def test_sizes_that_vary_need_a_resolution(tmp_path, draw, data_config):
    draw(tmp_path / "a.png", size=(8, 8))
    draw(tmp_path / "b.jpg", size=(20, 10))
    draw(tmp_path / "c.png", size=(9, 30), mode="L")
    with pytest.raises(UserError, match=r"of 3 sizes: give --config\.data\.resolution"):
        open_source(data_config(tmp_path), "train")
    source = open_source(data_config(tmp_path, resolution=16), "train")
    assert read_all(source)["image"].shape == (2, 16, 16, 3)


def test_folders_without_pictures_are_refused(tmp_path, data_config):
    with pytest.raises(UserError, match="holds no images"):
        open_source(data_config(tmp_path), "train")
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(UserError, match="none of the 1 images"):
        open_source(data_config(tmp_path), "train")
    with pytest.raises(UserError, match="expected an existing folder"):
        open_source(data_config(tmp_path / "missing"), "train")


def test_fingerprint_follows_the_data(tmp_path, draw, data_config):
    for name in ("one", "two"):
        for number in range(4):
            draw(tmp_path / name / f"{number}.png", (number, 0, 0))

    def mark(folder="one", **changes):
        return open_source(data_config(tmp_path / folder, **changes), "train").spec.fingerprint

    assert mark() == mark("two")  # whatever the place of the folder
    assert len({mark(), mark(resolution=16), mark(resolution=16, fit="crop"), mark(channels=1)}) == 4
    before = mark()
    draw(tmp_path / "one" / "new.png", (9, 9, 9))
    assert mark() != before


def test_relative_folders(tmp_path, draw, data_config, monkeypatch):
    draw(tmp_path / "pictures" / "a.png")
    draw(tmp_path / "pictures" / "b.png")
    monkeypatch.chdir(tmp_path)
    assert open_source(data_config("pictures"), "train").spec.size == 1
    assert open_source(data_config(f".{os.sep}pictures"), "train").spec.size == 1


def test_a_class_of_which_all_would_be_held_out_keeps_one_to_train_on(tmp_path, draw, data_config):
    hashes = {f"{number}.png": hashlib.sha256(f"rare/{number}.png".encode()) for number in range(100)}
    for name in [name for name, each in hashes.items() if int(each.hexdigest(), 16) % 10 == 0][:3]:
        draw(tmp_path / "rare" / name)
    for number in range(20):
        draw(tmp_path / "common" / f"{number}.png")
    train, test = (open_source(data_config(tmp_path), split) for split in ("train", "test"))
    assert train.label_counts.tolist() == np.bincount(read_all(train)["label"], minlength=2).tolist()
    assert (train.label_counts[1], test.label_counts[1]) == (1, 2)
    assert train.label_counts.sum() + test.label_counts.sum() == 23


def test_a_class_without_training_images_is_named(tmp_path, draw, data_config, caplog):
    for name in ("train/a/0", "train/b/0", "test/a/0", "test/c/0"):
        draw(tmp_path / f"{name}.png")
    for cache in ("host", "stream"):
        caplog.clear()
        make_pipeline(data_config(tmp_path, cache=cache), seed=0)
        assert "classes without training images, which cannot be learned: 1 of 3: c" in caplog.text


def test_of_single_images_a_class_one_is_held_out_and_named(tmp_path, draw, data_config, caplog):
    for number in range(12):
        draw(tmp_path / f"class{number:02}" / "only.png")
    sizes = [open_source(data_config(tmp_path), split).spec.size for split in ("train", "test")]
    assert sizes == [11, 1]
    make_pipeline(data_config(tmp_path), seed=0)
    assert "cannot be learned: 1 of 12: class" in caplog.text
