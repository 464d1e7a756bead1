"""Finds the clips in the records of tfds, and reads them without TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core import example_parser

from jaxgan.data.transforms import MODES, Framing, open_image

VIDEO, SEQUENCE, IMAGE = (
    f"tensorflow_datasets.core.features.{name}"
    for name in ("video_feature.Video", "sequence_feature.Sequence", "image_feature.Image")
)


def without_video(node: Any) -> Any:
    """The content of `features.json`, with each Video replaced by the sequence of images that it is on disk.

    Only tfds's class Video needs TensorFlow.
    """
    if not isinstance(node, Mapping):
        return node
    if node.get("pythonClassName") != VIDEO:
        return {key: without_video(each) for key, each in node.items()}
    video = node["video"]
    frames, *picture = video["shape"]["dimensions"]
    image = {
        "dtype": video.get("dtype", "uint8"),
        "encodingFormat": video.get("encodingFormat", "png"),
        "shape": {"dimensions": picture},
    }
    feature = {"pythonClassName": IMAGE, "image": image}
    return {"pythonClassName": SEQUENCE, "sequence": {"length": frames, "feature": feature}}


def find_clip(info: tfds.core.DatasetInfo) -> str | None:
    """The name of the clip feature `[T,H,W,C]`: the supervised one, else the first in colour, else the first.

    A nested feature is named `outer/inner`; one in a top-level sequence by its own name. None if there is no clip.
    """
    channels = {key: each.shape[-1] for key, each in _flat(info.features.get_tensor_info()).items() if _is_clip(each)}
    supervised = (info.supervised_keys or (None,))[0]
    return supervised if supervised in channels else min(channels, key=lambda key: channels[key] != 3, default=None)


class Records:
    """Reads the clips of serialized records."""

    def __init__(self, info: tfds.core.DatasetInfo, clip: str, label: str | None):
        """`clip`: the result of `find_clip`."""
        self.clip, self.label = clip, label
        self.shape: tuple[int | None, ...] = _flat(info.features.get_tensor_info())[clip].shape
        serialized = _flat(info.features.get_serialized_info())
        self._parser = example_parser.ExampleParserNp({key: serialized[key] for key in (clip, label) if key})
        top = dict(info.features) if isinstance(info.features, tfds.features.FeaturesDict) else {}
        self._tensor = top[clip] if isinstance(top.get(clip), tfds.features.Tensor) else None

    def length(self, record: bytes) -> int:
        """The number of frames of a record."""
        return self.shape[0] or len(self._frames(record)[0])

    def read(self, record: bytes, numbers: Sequence[int] | np.ndarray, frame: Framing) -> tuple[np.ndarray, int]:
        """These frames of a record, uint8 `[T,H,W,C]`, and its label (-1 if none). Only they are decoded."""
        frames, label = self._frames(record)
        return np.stack([frame(open_image(frames[number])) for number in numbers]), label

    def label_of(self, record: bytes) -> int:
        """The label of a record; no frame is decoded."""
        return int(self._parser.parse_example(record)[self.label])

    def _frames(self, record: bytes) -> tuple[Any, int]:
        example = self._parser.parse_example(record)
        frames = example[self.clip]
        if self._tensor is not None:
            frames = self._tensor.decode_example_np(frames)
        return frames, int(example[self.label]) if self.label else -1


def _flat(nested: Any) -> dict[str, Any]:
    return tfds.core.utils.flatten_nest_dict(nested) if isinstance(nested, Mapping) else {}


def _is_clip(info: Any) -> bool:
    return len(info.shape) == 4 and info.np_dtype == np.uint8 and info.shape[-1] in MODES
