"""A source is one split of a data set, decoded to uint8 images of one size, by random access."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from jaxgan.errors import UserError

if TYPE_CHECKING:
    from jaxgan.config import DataConfig


@dataclass(frozen=True)
class DataSpec:
    """What one split of a data set is, after its images were brought to one size."""

    name: str
    split: str
    size: int  # examples
    height: int  # pixels
    width: int  # pixels
    channels: int
    num_classes: int  # 0: no labels
    class_names: tuple[str, ...]
    fingerprint: str  # equal for equal data, stable across runs and machines


class Source(Protocol):
    """One split of a data set by random access."""

    @property
    def spec(self) -> DataSpec:
        """What the split is."""
        ...

    def read(self, indices: Sequence[int] | np.ndarray) -> dict[str, np.ndarray]:
        """The examples at `indices`: image uint8 `[n,H,W,C]`, and label int32 `[n]` if there are classes.

        May be called from several threads at once.
        """
        ...


def open_source(config: DataConfig, split: str) -> Source:
    """The split `split` of the data set `config.name`: a tfds data set, or a folder of images.

    The name of a folder is its path; a bare name that tfds knows is the tfds data set even where a folder
    of that name exists (write `./name` for the folder). `jaxgan_digits` is prepared by itself. Raises
    `UserError` for a data set that is unknown, not prepared, or holds no images, and for an unknown split.
    """
    # Both kinds import this module, and tfds is imported only where it is needed.
    if kind_of_name(config.name) == "images":
        from jaxgan.data.folder_source import FolderSource

        return FolderSource(config, split)
    from jaxgan.data.tfds_catalogue import open_builder
    from jaxgan.data.tfds_source import TfdsSource

    return TfdsSource(open_builder(config), config, split)


def kind_of_name(name: str) -> Literal["images", "prepared", "name"]:
    """Whether a data set's name is a folder of images, a directory that tfds prepared, or a name of tfds.

    A separator does not make a path: tfds has names like `imagenet_resized/64x64`. Raises `UserError` for
    what can only be a path and is no folder.
    """
    folder = Path(name).expanduser()
    path_only = name.startswith((".", "/", "~"))
    if not folder.is_dir():
        if path_only:
            raise UserError(f"config.data.name={name!r} is not an existing folder: give one, or a name of tfds")
        return "name"
    if (folder / "dataset_info.json").is_file():
        return "prepared"
    return "images" if path_only or not _known_to_tfds(name) else "name"


def fingerprint(*parts: Any) -> str:
    """Sixteen hexadecimal digits over JSON-able parts; equal parts give equal digits, in every run."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _known_to_tfds(name: str) -> bool:
    from jaxgan.data.tfds_catalogue import known_names

    return name.split("/")[0] in known_names()
