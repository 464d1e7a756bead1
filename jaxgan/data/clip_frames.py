"""Presents the frames of clips as single pictures, for code that works on pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxgan.data.sources import Pictures, Source
from jaxgan.fields import Field, frames


class ClipFrames:
    """Every frame of a source of clips (or of `Pictures` that are clips), clip by clip, with the label of its clip."""

    def __init__(self, clips: Source | Pictures):
        """Reads nothing yet."""
        self._clips: Any = clips  # with `read`, `picture` or both
        self.per_clip = frames(clips.spec.fields)
        self._held: tuple[int, dict[str, np.ndarray]] | None = None  # number and fields of the clip read last
        fields = {name: of_frame(field) if self._splits(field) else field for name, field in clips.spec.fields.items()}
        self.spec = dataclasses.replace(clips.spec, size=clips.spec.size * self.per_clip, fields=fields)
        if (counts := getattr(clips, "label_counts", None)) is not None:
            self.label_counts = np.asarray(counts) * self.per_clip
        if (labels := getattr(clips, "labels", None)) is not None:
            self.labels = lambda indices: labels(np.asarray(indices) // self.per_clip)

    def read(self, indices: Sequence[int] | np.ndarray) -> dict[str, np.ndarray]:
        """The frames at `indices` by field, e.g. image uint8 `[n,H,W,C]`. Each clip is read once."""
        numbers, places = np.divmod(np.asarray(indices), self.per_clip)
        wanted, rows = np.unique(numbers, return_inverse=True)
        examples = self._clips.read(wanted)
        return {name: array[rows, places] if self._is_split(name) else array[rows] for name, array in examples.items()}

    def picture(self, index: int) -> dict[str, np.ndarray]:
        """The fields of one frame. Its whole clip is read, and kept until a frame of another clip is requested."""
        number, place = divmod(index, self.per_clip)
        held = self._held  # a local copy: other threads may replace it
        if held is None or held[0] != number:
            if isinstance(self._clips, Pictures):
                clip = self._clips.picture(number)
            else:
                clip = {name: rows[0] for name, rows in self._clips.read([number]).items()}
            held = self._held = (number, clip)
        return {name: array[place] if self._is_split(name) else array for name, array in held[1].items()}

    def _is_split(self, name: str) -> bool:
        return self._splits(self._clips.spec.fields[name])

    def _splits(self, field: Field) -> bool:
        return field.clip and field.frames == self.per_clip


def frames_of(source: Any) -> Any:
    """The frames of a source (or of `Pictures`) of clips. One of single pictures, or None, is returned as it is."""
    image = None if source is None else source.spec.fields.get("image")
    return ClipFrames(source) if image is not None and image.clip else source


def of_frame(field: Field) -> Field:
    """The field of one frame of a clip; a field that is no clip is returned as it is."""
    return dataclasses.replace(field, shape=field.shape[1:]) if field.clip else field
