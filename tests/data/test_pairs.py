"""Images and their conditions are paired by name, whatever the Unicode normalization of the names."""

import unicodedata

import numpy as np
import pytest

from jaxgan.building.opening import open_pictures
from jaxgan.config.run import DataConfig
from jaxgan.errors import UserError

NAMES = [f"caf\u00e9 {number}" for number in range(20)]


@pytest.fixture
def folders(tmp_path, draw):
    """Twenty images with names in composed characters, and conditions with names in decomposed ones."""
    for number, name in enumerate(NAMES):
        draw(tmp_path / "images" / f"{name}.png", (number, 0, 0))
        draw(tmp_path / "conditions" / f"{unicodedata.normalize('NFD', name)}.bmp", (0, number, 0))
    return tmp_path


def config_of(folders):
    return DataConfig(str(folders / "images"), condition=str(folders / "conditions"), crops=1, resolution=8)


def test_names_that_are_composed_here_and_decomposed_there(folders):
    seen = 0
    for split in ("train", "test"):
        pictures = open_pictures(config_of(folders), split)
        for index in range(pictures.spec.size):
            picture = pictures.picture(index)
            assert set(picture) == {"image", "condition"}
            assert picture["image"][0, 0, 0] == picture["condition"][0, 0, 1]
            seen += 1
    assert seen == 20


def test_the_very_name_goes_before_the_same_in_other_characters(folders, draw):
    for number, name in enumerate(NAMES):
        draw(folders / "conditions" / f"{name}.png", (0, 100 + number, 0))
    pictures = open_pictures(config_of(folders), "train")
    found = [pictures.picture(index) for index in range(pictures.spec.size)]
    images, conditions = (np.stack([each[name][0, 0] for each in found]) for name in ("image", "condition"))
    np.testing.assert_array_equal(conditions[:, 1], 100 + images[:, 0])


def test_what_has_no_partner_is_named(folders, draw):
    for number in range(10):
        draw(folders / "images" / f"alone{number}.png")
    with pytest.raises(UserError, match=r"images have no picture of the same name in .*, such as 'alone\d"):
        open_pictures(config_of(folders), "train")


def test_contents_are_of_both(folders, draw):
    before = open_pictures(config_of(folders), "train").spec
    assert [name for name, _ in before.contents] == ["images", "conditions"]
    for path in (folders / "conditions").iterdir():
        path.write_bytes(path.read_bytes()[:-1] + b"\1")
    after = open_pictures(config_of(folders), "train").spec
    assert after.contents[0] == before.contents[0]
    assert after.contents[1] != before.contents[1]
    assert after.fingerprint == before.fingerprint
