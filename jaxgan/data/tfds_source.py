"""Data sets of tfds, read with random access and without TensorFlow. Only array_record files are supported."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow_datasets as tfds

from jaxgan.data.shards import contents_of
from jaxgan.data.sources import IMAGES, LABELS_AT_ONCE, DataSpec, fingerprint
from jaxgan.data.tfds_catalogue import FORMAT, check_images
from jaxgan.data.transforms import Framing, check_framing, open_image
from jaxgan.errors import UserError
from jaxgan.fields import picture_fields
from jaxgan.system.plain import plain

if TYPE_CHECKING:
    from jaxgan.config.run import DataConfig


SHOWN_AT_MOST = 10  # classes


class TfdsSource:
    """One split of a prepared tfds data set (`train`, `test`, `train[:10%]`) as a `Source`.

    The image is the large one of a super-resolution pair, else the supervised input, else the first
    `tfds.features.Image`. The label is the supervised target, else the first `ClassLabel`. Raises `UserError` if there
    is no image or no such split, or if the images are not square or vary in size and no resolution is given.
    """

    def __init__(self, builder: tfds.core.DatasetBuilder, config: DataConfig, split: str, *, whole: bool = False):
        """`whole`: pictures keep their own sizes, and `picture` reads them."""
        check_framing(config.channels, config.resolution, config.fit)
        self._directory = builder.data_path
        self._image, self._label = check_images(builder, config.name)
        self._features = builder.info.features
        self._records = open_split(builder, config.name, split).data_source
        image, label = self._features[self._image], self._features[self._label] if self._label else None
        side = None if whole else side_of(image.shape, config)
        resolution = None if whole else config.resolution
        classes = tuple(label.names) if label and not whole else ()
        self._frame = Framing(config.channels or image.shape[-1] or 3, resolution, config.fit)
        # Skipping tfds's decoder saves two thirds of the time, and avoids its warning that OpenCV is missing.
        self._decoders = {
            name: tfds.decode.SkipDecoding()
            for name, feature in self._features.items()
            if isinstance(feature, tfds.features.Image)
        }
        size = len(self._records)
        self.spec = DataSpec(
            name=config.name,
            split=split,
            size=size,
            fields=picture_fields(side, side, self._frame.channels, classes),
            fingerprint=fingerprint(
                "tfds",
                builder.info.full_name,
                split,
                size,
                {k: [s.num_bytes, s.shard_lengths] for k, s in builder.info.splits.items()},
                resolution,
                config.fit,
                self._frame.channels,
            ),
            contents=contents_in(builder.info, split),
            findings=tuple(
                findings_of(builder.info, f"images of {size_text(image.shape)}", image.shape, self._label, self._frame)
            ),
        )

    def read(self, indices: Sequence[int] | np.ndarray) -> dict[str, np.ndarray]:
        """The examples at `indices`: image uint8 `[n,H,W,C]`, and label int32 `[n]` if there are classes.

        Raises `UserError` for an image whose size is not the one its data set declares (only without a resolution).
        """
        image = self.spec.image
        images = np.empty((len(indices), *image.known), np.uint8)
        labels = np.empty(len(indices), np.int32)
        records = self._get([int(index) for index in indices])
        for row, record in enumerate(records):
            example = self._features.deserialize_example_np(record, decoders=self._decoders)
            array = self._frame(open_image(example[self._image]))
            if array.shape != images.shape[1:]:
                raise UserError(
                    f"image {int(indices[row])} of {self.spec.name!r} is {array.shape[1]}x{array.shape[0]}, not "
                    f"{image.width}x{image.height} as the data set declares: give --config.data.resolution=N"
                )
            images[row] = array
            if self._label:
                labels[row] = example[self._label]
        return {"image": images, "label": labels} if self._label else {"image": images}

    def labels(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """The labels int32 `[n]` of a data set with classes; no image is decoded."""
        found = np.empty(len(indices), np.int32)
        for start in range(0, len(indices), LABELS_AT_ONCE):
            keys = [int(index) for index in indices[start : start + LABELS_AT_ONCE]]
            for row, record in enumerate(self._get(keys), start=start):
                found[row] = self._features.deserialize_example_np(record, decoders=self._decoders)[self._label]
        return found

    def picture(self, index: int) -> dict[str, np.ndarray]:
        """The image at `index`, without its label: uint8 `[H,W,C]`."""
        (record,) = self._get([int(index)])
        example = self._features.deserialize_example_np(record, decoders=self._decoders)
        return {"image": self._frame(open_image(example[self._image]))}

    def _get(self, keys: list[int]) -> Sequence[bytes]:
        return read_records(self._records, keys, self._directory)


def read_records(records: Any, keys: list[int], directory: os.PathLike[str]) -> Sequence[bytes]:
    """The serialized records with these numbers. Raises UserError, with the data set's directory, for damaged files."""
    try:
        return records.__getitems__(keys)
    except RuntimeError as error:  # array_record verifies checksums
        raise UserError(
            f"the files of the data set in {directory} are damaged or gone ({error}): move it away and prepare it again"
        ) from error


def side_of(shape: Sequence[int | None], config: DataConfig) -> int:
    """The side in pixels of pictures `[...,H,W,C]` after framing. Raises UserError if a resolution is required."""
    height, width = shape[-3:-1]
    if config.resolution is None and (height is None or height != width):
        what = "images" if len(shape) == 3 else "frames"
        found = "of varying size" if height is None or width is None else f"{width}x{height}, not square"
        raise UserError(
            f"the {what} of {config.name!r} are {found}: give --config.data.resolution=N "
            "(and --config.data.fit=pad, resize or crop)"
        )
    return config.resolution or height or 0


def contents_in(info: tfds.core.DatasetInfo, split: str) -> tuple[tuple[str, str], ...]:
    """Digests of the files of a split, or of parts of splits; empty if the files are not known."""
    try:
        return ((IMAGES, contents_of(info.splits[split].filepaths)),)
    except (KeyError, ValueError):
        return ()


def size_text(shape: Sequence[int | None]) -> str:
    """The size of pictures `[...,H,W,C]`, in words."""
    height, width = shape[-3:-1]
    return "varying sizes" if height is None or width is None else f"{width} x {height} pixels"


def findings_of(
    info: tfds.core.DatasetInfo, what: str, shape: Sequence[int | None], label: str | None, frame: Framing
) -> Iterator[tuple[str, str]]:
    """Describes a data set, and how its pictures `[...,H,W,C]` are converted: titles with texts."""
    height, width, channels = shape[-3:]
    yield "data", f"{plain(info.full_name)}: {what}"
    yield "splits", ", ".join(f"{plain(name)} {split.num_examples:,}" for name, split in sorted(info.splits.items()))
    names = [] if label is None else info.features[label].names
    more = f" and {len(names) - SHOWN_AT_MOST:,} more" if len(names) > SHOWN_AT_MOST else ""
    yield "classes", f"{len(names):,}: {plain(', '.join(names[:SHOWN_AT_MOST]))}{more}" if names else "none"
    side = frame.resolution
    if side is not None and (height, width) != (side, side):
        how = {"resize": "resized", "pad": "scaled down if larger, and padded with black", "crop": "cropped"}[frame.fit]
        yield "pixels", f"{how} to {side} x {side}"
    if channels == 4 and frame.channels != 4:
        yield "pixels", "transparent parts are laid on white"
    elif channels and channels != frame.channels:
        yield "pixels", "colours become grey" if frame.channels == 1 else "grey becomes colour"


def open_split(builder: tfds.core.DatasetBuilder, name: str, split: str) -> Any:
    """The records of a split. Raises UserError for a split that does not exist or is empty."""
    try:
        data = builder.as_data_source(split, file_format=FORMAT)
        size = len(data)
    except (KeyError, ValueError, AssertionError) as error:
        known = ", ".join(sorted(builder.info.splits))
        raise UserError(
            f"the data set {name!r} has no split {split!r}; it has {known}, and parts such as 'train[:90%]'"
        ) from error
    if not size:
        raise UserError(f"the split {split!r} of the data set {name!r} is empty")
    return data
