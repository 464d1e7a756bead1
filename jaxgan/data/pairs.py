"""Pairs of pictures: the image to generate, and the condition to generate it from (Isola et al. 2017)."""

from __future__ import annotations

import dataclasses
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jaxgan.data.folder_index import Entry
from jaxgan.data.folder_source import FolderSource, digest_of
from jaxgan.data.sources import CONDITIONS, Pictures, fingerprint
from jaxgan.errors import UserError
from jaxgan.system.paths import located

if TYPE_CHECKING:
    from jaxgan.config.run import DataConfig

HALVES = ("left", "right")


class HalvedPictures:
    """Pictures of two images side by side, of which one half is the condition of the other."""

    def __init__(self, pictures: Pictures, condition: str):
        """`condition`: the half that is the condition, "left" or "right"."""
        self._pictures, self._left = pictures, condition == "left"
        self.spec = dataclasses.replace(
            pictures.spec,
            fingerprint=fingerprint("halves", pictures.spec.fingerprint, condition),
            fields=dict.fromkeys(("image", "condition"), pictures.spec.image),
            findings=(*pictures.spec.findings, ("condition", f"the {condition} half of each picture")),
        )

    def picture(self, index: int) -> dict[str, np.ndarray]:
        """Image and condition, each uint8 `[H,W/2,C]`. Raises UserError for an odd width."""
        picture = self._pictures.picture(index)["image"]
        if picture.shape[1] % 2:
            raise UserError(
                f"config.data.condition: got picture {index}, {picture.shape[1]} pixels wide, expected an even width"
            )
        left, right = np.split(picture, 2, axis=1)
        image, condition = (right, left) if self._left else (left, right)
        return {"image": image, "condition": condition}


class PairedPictures:
    """Pictures of one folder, with the pictures of the same names (suffixes may differ) in another as conditions."""

    def __init__(self, images: FolderSource, conditions: FolderSource):
        """Conditions are searched for in all splits of their folder. Raises UserError for an image without one."""
        found = _partners(images.names, (*conditions.everywhere, *conditions.entries))
        missing = [name for name, partner in zip(images.names, found) if partner is None]
        if missing:
            raise UserError(
                f"config.data.condition: {len(missing)} images have no picture of the same name in "
                f"{conditions.spec.name!r}, such as {missing[0]!r}"
            )
        self._images, self._conditions = images, conditions
        self._partners = [partner for partner in found if partner is not None]
        # splits depend on the spelling of names, so conditions with another spelling may be in another split
        strays = sorted(set(self._partners) - set(conditions.entries))
        self.spec = dataclasses.replace(
            images.spec,
            fingerprint=fingerprint(
                "pairs",
                images.spec.fingerprint,
                conditions.spec.fingerprint,
                *((each.path, each.size) for each in strays),
            ),
            fields={"image": images.spec.image, "condition": conditions.spec.image},
            contents=(*images.spec.contents, (CONDITIONS, digest_of(self._partners))),
            findings=(
                *images.spec.findings,
                *(
                    ("condition", text)
                    for title, text in conditions.spec.findings
                    if title not in ("splits", "classes")
                ),
            ),
        )

    def picture(self, index: int) -> dict[str, np.ndarray]:
        """Image uint8 `[H,W,C]` and condition `[H,W,C']`. Raises UserError if their sizes differ."""
        image = self._images.picture(index)["image"]
        condition = self._conditions.picture_in(self._partners[index].path)
        if image.shape[:2] != condition.shape[:2]:
            name = self._images.names[index]
            sizes = " and ".join(f"{each.shape[1]}x{each.shape[0]}" for each in (image, condition))
            raise UserError(f"config.data.condition: got {name!r} and its condition of {sizes}, expected equal sizes")
        return {"image": image, "condition": condition}


def with_conditions(pictures: Pictures, config: DataConfig, split: str) -> Pictures:
    """The pictures of `config.name` with the conditions that `config.condition` names.

    Raises UserError if that is neither a half nor a folder.
    """
    if config.condition in HALVES:
        return HalvedPictures(pictures, config.condition)
    folder = Path(located(config.condition or "", "config.data.condition"))
    if not isinstance(pictures, FolderSource) or not folder.is_dir():
        raise UserError(
            f"config.data.condition: got {config.condition!r}, expected 'left', 'right' or, for a folder of images, "
            "a folder with files of the same names"
        )
    names = dataclasses.replace(config, name=str(folder), channels=None)
    return PairedPictures(pictures, FolderSource(names, split, whole=True))


def _partners(images: Sequence[str], conditions: Sequence[Entry]) -> list[Entry | None]:
    """The condition of each image: that of the same name without suffix, else of the same name after normalization.

    If several match, the last one is used. Systems write accents as one character (NFC) or two (NFD, as macOS does).
    """
    exact = {_stem(entry.path): entry for entry in conditions}
    composed = {_composed(entry.path): entry for entry in conditions}
    return [exact.get(_stem(name), composed.get(_composed(name))) for name in images]


def _stem(name: str) -> str:
    """A path without the suffix of its file, if it has one."""
    folder, separator, last = name.rpartition("/")
    return folder + separator + (last.rpartition(".")[0] or last)


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", _stem(name))
