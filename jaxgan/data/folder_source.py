"""A plain folder of images as a data set, with class folders or without."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jaxgan.data.folder_index import Entry, index_folder, open_upright
from jaxgan.data.sources import DataSpec, fingerprint
from jaxgan.data.transforms import Framing, check_framing
from jaxgan.errors import UserError
from jaxgan.paths import located

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from jaxgan.config import DataConfig

HELD_OUT_EVERY = 10  # one file in ten is held out for evaluation
EVALUATION_FOLDERS = ("test", "val", "validation")


class FolderSource:
    """One split of a folder of images as a `Source`.

    A folder with a subfolder `train` and one of `test`, `val` or `validation` has its subfolders as splits.
    Any other has the splits `test`, one file in ten by the hash of its relative path (so that adding files
    moves none, but in a class of which nothing was left to train on: one of its files is), and `train`, the rest. If,
    below that, all images lie in two or more folders, those are the classes, in sorted order; else there are no labels.
    Files are sorted by path and turned upright; those that cannot be read are skipped and logged. Without
    `config.channels`, a folder of grey images has 1 channel, any other 3. Raises `UserError` if nothing can be read,
    for an unknown split, and if the images vary in size or are not square and no resolution is given.
    """

    def __init__(self, config: DataConfig, split: str, *, whole: bool = False):
        """`whole`: pictures are left at the sizes that they have, and `picture` reads them."""
        check_framing(config.channels, config.resolution, config.fit)
        self._root = Path(located(config.name, "config.data.name"))
        everything = index_folder(self._root)
        depth, splits = _find_splits(everything)
        if split not in splits:
            raise UserError(f"the folder {config.name!r} has no split {split!r}; it has {', '.join(sorted(splits))}")
        self._entries = splits[split]
        if not self._entries:
            raise UserError(
                f"the split {split!r} of the folder {config.name!r} is empty "
                f"(readable images in all: {len(everything)})"
            )
        classes = _find_classes(everything, depth)
        labels = [classes.index(_parts(entry)[depth]) for entry in self._entries] if classes else []
        self._labels = np.array(labels, np.int32)
        resolution = None if whole else config.resolution
        side = 0 if whole else config.resolution or _common_side(everything, config.name)
        channels = config.channels or (1 if all(entry.grey for entry in everything) else 3)
        self._frame = Framing(channels, resolution, config.fit)
        self.spec = DataSpec(
            name=config.name,
            split=split,
            size=len(self._entries),
            height=side,
            width=side,
            channels=channels,
            num_classes=len(classes),
            class_names=classes,
            fingerprint=fingerprint(
                "folder",
                split,
                [(entry.path, entry.size) for entry in self._entries],
                resolution,
                config.fit,
                channels,
            ),
        )

    def read(self, indices: Sequence[int] | np.ndarray) -> dict[str, np.ndarray]:
        """The examples at `indices`: image uint8 `[n,H,W,C]`, and label int32 `[n]` if there are classes."""
        fields = {"image": np.stack([self.picture(index) for index in indices])}
        if self.spec.num_classes:
            fields["label"] = self._labels[np.asarray(indices, np.int64)]
        return fields

    @property
    def label_counts(self) -> np.ndarray:
        """How many examples each class has, int `[num_classes]`."""
        return np.bincount(self._labels, minlength=self.spec.num_classes)

    @property
    def names(self) -> tuple[str, ...]:
        """The paths of the files below the folder."""
        return tuple(entry.path for entry in self._entries)

    def picture(self, index: int) -> np.ndarray:
        """The example at `index`: uint8 `[H,W,C]`."""
        return self._frame(open_upright(self._root / self._entries[index].path))


def _parts(entry: Entry) -> list[str]:
    return entry.path.split("/")


def _find_splits(entries: Sequence[Entry]) -> tuple[int, dict[str, tuple[Entry, ...]]]:
    """How deep the splits lie (1: subfolders), and the splits by name."""
    folders = {_parts(entry)[0] for entry in entries if len(_parts(entry)) > 1}
    if "train" in folders and folders.intersection(EVALUATION_FOLDERS):
        return 1, {name: tuple(e for e in entries if _parts(e)[0] == name) for name in folders}
    hashes = {e: int(hashlib.sha256(e.path.encode()).hexdigest(), 16) for e in entries}
    held_out = {e for e in entries if hashes[e] % HELD_OUT_EVERY == 0}
    labelled, classes = bool(_find_classes(entries, 0)), dict[str, list[Entry]]()
    for entry in entries:
        classes.setdefault(_parts(entry)[0] if labelled else "", []).append(entry)
    for inside in classes.values():  # each keeps something to train on
        if len(classes) > 1 and held_out.issuperset(inside):
            kept = max(inside, key=hashes.__getitem__)
            held_out.remove(kept)
            log.info("%s is trained on, since all images of its class would be held out", kept.path)
    if not held_out and len(entries) > 1:
        spare = [e for inside in classes.values() if len(inside) > 1 for e in inside] or entries
        held_out = {min(spare, key=hashes.__getitem__)}
    return 0, {
        "train": tuple(e for e in entries if e not in held_out),
        "test": tuple(e for e in entries if e in held_out),
    }


def _find_classes(entries: Sequence[Entry], depth: int) -> tuple[str, ...]:
    """The class folders of all splits, sorted; none if images lie beside them or there is only one."""
    inside = [_parts(entry)[depth:] for entry in entries if depth == 0 or len(_parts(entry)) > 1]
    names = sorted({parts[0] for parts in inside})
    return tuple(names) if len(names) > 1 and all(len(parts) > 1 for parts in inside) else ()


def _common_side(entries: Sequence[Entry], name: str) -> int:
    """The side in pixels that all images have; `UserError` if they differ or are not square."""
    sizes = {(entry.width, entry.height) for entry in entries}
    width, height = min(sizes)
    if len(sizes) > 1 or width != height:
        found = f"of {len(sizes)} sizes" if len(sizes) > 1 else f"{width}x{height}, not square"
        raise UserError(
            f"the images in {name!r} are {found}: give --config.data.resolution=N "
            "(and --config.data.fit=pad, resize or crop)"
        )
    return width
