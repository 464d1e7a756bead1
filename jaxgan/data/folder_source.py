"""A plain folder of images as a data set, with or without class folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jaxgan.data.account import warn_once
from jaxgan.data.folder_index import Entry, index_folder, open_upright, such_as
from jaxgan.data.folder_splits import find_classes, find_splits, parts_of, readable, report_classes
from jaxgan.data.sources import IMAGES, DataSpec, fingerprint
from jaxgan.data.transforms import Framing, check_framing
from jaxgan.errors import UserError
from jaxgan.fields import picture_fields
from jaxgan.system.paths import located
from jaxgan.system.plain import plain

if TYPE_CHECKING:
    from jaxgan.config.run import DataConfig


class FolderSource:
    """One split of a folder of images as a `Source`.

    `jaxgan.data.folder_splits.find_splits` describes the splits. If, below them, all images are in two or more folders,
    these folders are the classes, in sorted order; else there are no labels. Files are sorted by path and turned
    upright; files that cannot be read are reported and skipped. Without `config.channels`, a folder of grey images has
    1 channel, any other 3. Raises `UserError` if nothing can be read, for an unknown split, and if the images vary in
    size or are not square and no resolution is given.
    """

    def __init__(self, config: DataConfig, split: str, *, whole: bool = False):
        """`whole`: pictures keep their own sizes, and `picture` reads them."""
        check_framing(config.channels, config.resolution, config.fit)
        self._root = Path(located(config.name, "config.data.name"))
        index = index_folder(self._root)
        everything, splits = index.entries, find_splits(index.entries)
        warn_once(config.name, index.findings)
        found = splits.find(split)
        if found is None:
            known = ", ".join(sorted(map(plain, splits.entries)))
            raise UserError(f"the folder {config.name!r} has no split {split!r}; it has {known}")
        self._entries, self.everywhere = splits.entries[found], everything  # of the split, and of all splits
        if not self._entries:
            raise UserError(
                f"the split {split!r} of the folder {config.name!r} is empty (readable images of all splits: "
                f"{len(everything)}): add pictures, or a folder {split!r} with some beside one named 'train'"
            )
        classes = find_classes(everything, splits.depth)
        labels = [classes.index(parts_of(entry)[splits.depth]) for entry in self._entries] if classes else []
        self._labels = np.array(labels, np.int32)
        resolution = None if whole else config.resolution
        side = None if whole else config.resolution or common_side(everything, config.name, "images")
        channels = config.channels or (1 if all(entry.grey for entry in everything) else 3)
        self._frame = Framing(channels, resolution, config.fit)
        self.spec = DataSpec(
            name=config.name,
            split=found,
            size=len(self._entries),
            fields=picture_fields(side, side, channels, () if whole else tuple(map(readable, classes))),
            fingerprint=fingerprint(
                "folder",
                found,
                [(entry.path, entry.size) for entry in self._entries],
                resolution,
                config.fit,
                channels,
            ),
            contents=((IMAGES, digest_of(self._entries)),),
            findings=(
                ("data", f"{plain(config.name)}: {report_sizes(everything, 'picture')}"),
                ("splits", splits.description),
                ("classes", report_classes(everything, splits.depth, "picture")),
                *(("pixels", text) for text in report_framing(everything, self._frame, "pictures") if text),
                *index.findings,
            ),
        )

    def read(self, indices: Sequence[int] | np.ndarray) -> dict[str, np.ndarray]:
        """The examples at `indices`: image uint8 `[n,H,W,C]`, and label int32 `[n]` if there are classes."""
        fields = {"image": np.stack([self.picture(index)["image"] for index in indices])}
        if self.spec.classes:
            fields["label"] = self._labels[np.asarray(indices, np.int64)]
        return fields

    @property
    def label_counts(self) -> np.ndarray:
        """The number of examples of each class, int `[K]`."""
        return np.bincount(self._labels, minlength=len(self.spec.classes))

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The files of the split."""
        return self._entries

    @property
    def names(self) -> tuple[str, ...]:
        """The paths of the files below the folder."""
        return tuple(entry.path for entry in self._entries)

    def picture(self, index: int) -> dict[str, np.ndarray]:
        """The image at `index`, without its label: uint8 `[H,W,C]`."""
        return {"image": self.picture_in(self._entries[index].path)}

    def picture_in(self, path: str) -> np.ndarray:
        """The picture in a file below the folder: uint8 `[H,W,C]`."""
        return self._frame(open_upright(self._root / path))


def digest_of(entries: Sequence[Entry]) -> str:
    """A digest of the paths and all bytes of files."""
    return fingerprint([(entry.path, entry.digest) for entry in entries])


def common_side(entries: Sequence[Entry], name: str, what: str) -> int:
    """The side in pixels of all images, or films. Raises `UserError` if they differ in size or are not square."""
    sizes = {(entry.width, entry.height) for entry in entries}
    width, height = min(sizes)
    if len(sizes) > 1 or width != height:
        found = f"of {len(sizes)} sizes" if len(sizes) > 1 else f"{width}x{height}, not square"
        raise UserError(
            f"the {what} in {name!r} are {found}: give --config.data.resolution=N "
            "(and --config.data.fit=pad, resize or crop)"
        )
    return width


def report_sizes(entries: Sequence[Entry], what: str) -> str:
    """The number and the sizes of pictures, or films, in words."""
    sizes = sorted({(entry.width, entry.height) for entry in entries}, key=lambda size: (size[0] * size[1], size))
    least, most = (f"{width} x {height}" for width, height in (sizes[0], sizes[-1]))
    pictures = f"1 {what}" if len(entries) == 1 else f"{len(entries):,} {what}s"
    return f"{pictures} of {least} pixels" if len(sizes) == 1 else f"{pictures} from {least} to {most} pixels"


def report_framing(entries: Sequence[Entry], frame: Framing, what: str) -> list[str]:
    """How pixels are converted, and in how many pictures or films."""
    side, lines = frame.resolution, []
    if side is not None:
        other = [entry for entry in entries if (entry.width, entry.height) != (side, side)]
        uneven = sum(entry.width != entry.height for entry in entries)
        small = sum(min(entry.width, entry.height) < side for entry in entries)
        how = {
            "resize": f"resized to {side} x {side}" + f", {uneven:,} of them cropped to a square first" * bool(uneven),
            "pad": f"scaled down if larger, and padded with black to {side} x {side}",
            "crop": f"cropped to their central {side} x {side}" + f", {small:,} of them enlarged first" * bool(small),
        }[frame.fit]
        which = f"{len(other):,} of {len(entries):,}" if len(other) < len(entries) else f"all {len(entries):,}"
        lines.append(f"{which} {what} are {how}" if other else "")
    if frame.channels == 1 and (colour := [entry for entry in entries if not entry.grey]):
        lines.append(f"{len(colour):,} in colour become grey{such_as(len(colour), colour[0].path)}")
    if frame.channels != 4 and (clear := [entry for entry in entries if entry.clear]):
        lines.append(f"{len(clear):,} with transparent parts are laid on white{such_as(len(clear), clear[0].path)}")
    return lines
