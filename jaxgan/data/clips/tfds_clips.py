"""Clips of prepared tfds data sets, with random access and without TensorFlow: only the clip's frames are decoded."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import tensorflow_datasets as tfds

from jaxgan.data.clips.records import Records
from jaxgan.data.clips.windows import Windows
from jaxgan.data.sources import LABELS_AT_ONCE, DataSpec, fingerprint
from jaxgan.data.tfds_catalogue import check_clips
from jaxgan.data.tfds_source import contents_in, findings_of, open_split, read_records, side_of, size_text
from jaxgan.data.transforms import Framing, check_framing
from jaxgan.fields import picture_fields
from jaxgan.system.json_files import BrokenFileError, read_json
from jaxgan.system.paths import cache_home
from jaxgan.system.plain import plain
from jaxgan.system.whole_files import replace_file

if TYPE_CHECKING:
    from jaxgan.config.run import DataConfig

log = logging.getLogger(__name__)


class TfdsClips:
    """Clips of one split of a prepared tfds data set as a `Source`. Each record counts as one shot.

    Raises `UserError` if there is no clip or no such split, if no record is long enough for a clip, or if frames are
    not square or vary in size and no resolution is given.
    """

    def __init__(self, builder: tfds.core.DatasetBuilder, config: DataConfig, split: str, *, whole: bool = False):
        """`whole`: frames keep their own sizes."""
        check_framing(config.channels, config.resolution, config.fit)
        info, (clip, label) = builder.info, check_clips(builder, config.name)
        self._place = builder.data_path
        self._reader = Records(info, clip, label)
        self._records = open_split(builder, config.name, split).data_source
        shape = self._reader.shape
        side = None if whole else side_of(shape, config)
        resolution = None if whole else config.resolution
        self._frame = Framing(config.channels or shape[-1] or 3, resolution, config.fit)
        contents = contents_in(info, split)
        identity = fingerprint(info.full_name, split, clip, dict(contents), len(self._records))
        self._windows = Windows(self._lengths(identity), config, split)
        classes = tuple(info.features[label].names) if label and not whole else ()
        self.spec = DataSpec(
            name=config.name,
            split=split,
            size=self._windows.size,
            fields=picture_fields(side, side, self._frame.channels, classes, frames=self._windows.frames),
            fingerprint=fingerprint(
                "tfds clips",
                identity,
                config.frames,
                config.stride,
                config.hop,
                resolution,
                config.fit,
                config.channels,
            ),
            contents=contents,
            findings=(
                *findings_of(info, f"films of {_length(shape)}, {size_text(shape)}", shape, label, self._frame),
                ("clips", self._windows.describe()),
            ),
        )

    def read(self, indices: Sequence[int] | np.ndarray) -> dict[str, np.ndarray]:
        """The clips at `indices`: image uint8 `[n,T,H,W,C]`, and label int32 `[n]` if there are classes."""
        places = [self._windows(int(index)) for index in indices]
        records = self._get([record for record, _ in places])
        found = [self._reader.read(record, numbers, self._frame) for record, (_, numbers) in zip(records, places)]
        clips, labels = zip(*found)
        fields = {"image": np.stack(clips)}
        return {**fields, "label": np.array(labels, np.int32)} if self.spec.classes else fields

    def labels(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """The labels int32 `[n]` of a data set with classes; no frame is decoded."""
        shots, found = self._windows.shots(indices), list[int]()
        for start in range(0, len(shots), LABELS_AT_ONCE):
            found += map(self._reader.label_of, self._get(shots[start : start + LABELS_AT_ONCE].tolist()))
        return np.array(found, np.int32)

    def picture(self, index: int) -> dict[str, np.ndarray]:
        """The clip at `index`, without its label: uint8 `[T,H,W,C]`."""
        record, numbers = self._windows(index)
        return {"image": self._reader.read(self._get([record])[0], numbers, self._frame)[0]}

    def _get(self, keys: list[int]) -> Sequence[bytes]:
        return read_records(self._records, keys, self._place)

    def _lengths(self, identity: str) -> list[int]:
        """The number of frames of each record, as declared, or counted once and kept in the user's cache folder."""
        count = len(self._records)
        if (length := self._reader.shape[0]) is not None:
            return [length] * count
        place = cache_home() / "jaxgan" / "records" / f"{identity}.json"
        with contextlib.suppress(OSError, BrokenFileError):
            kept = read_json(place)
            if isinstance(kept, list) and len(kept) == count and all(type(each) is int for each in kept):
                return kept
        log.info("counting the frames of %d records in %s", count, plain(self._place))
        lengths = [
            self._reader.length(record)
            for start in range(0, count, LABELS_AT_ONCE)
            for record in self._get(list(range(start, min(count, start + LABELS_AT_ONCE))))
        ]
        with contextlib.suppress(OSError):  # a cache that cannot be written only costs time
            replace_file(place, json.dumps(lengths, allow_nan=False).encode())
        return lengths


def _length(shape: tuple[int | None, ...]) -> str:
    return "varying lengths" if shape[0] is None else f"{shape[0]} frames"
