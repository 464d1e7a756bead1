"""The frames of clips as examples, for all that looks at pictures one by one."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxgan.data.sources import Pictures
from jaxgan.fields import Field, frames


class ClipFrames:
    """Every frame of a source of clips (or of pictures that are clips), clip by clip; it has the label of its clip."""

    def __init__(self, clips: Any):
        """Reads nothing yet."""
        self._clips, self.per_clip = clips, frames(clips.spec.fields)
        self._held: tuple[int, dict[str, np.ndarray]] | None = None  # the clip that was read last, by number
        fields = {name: of_frame(field) if self._parted(field) else field for name, field in clips.spec.fields.items()}
        self.spec = dataclasses.replace(clips.spec, size=clips.spec.size * self.per_clip, fields=fields)
        if (counts := getattr(clips, "label_counts", None)) is not None:
            self.label_counts = np.asarray(counts) * self.per_clip
        if hasattr(clips, "labels"):
            self.labels = lambda indices: clips.labels(np.asarray(indices) // self.per_clip)

    def read(self, indices: Sequence[int] | np.ndarray) -> dict[str, np.ndarray]:
        """The frames at `indices` by field, such as image uint8 `[n,H,W,C]`. Each clip is read once."""
        numbers, places = np.divmod(np.asarray(indices), self.per_clip)
        wanted, rows = np.unique(numbers, return_inverse=True)
        examples = self._clips.read(wanted)
        return {name: array[rows, places] if self._is_parted(name) else array[rows] for name, array in examples.items()}

    def picture(self, index: int) -> dict[str, np.ndarray]:
        """The fields of one frame. Its clip is read whole, and held until another one is asked for."""
        number, place = divmod(index, self.per_clip)
        held = self._held  # of one thread, whatever others do
        if held is None or held[0] != number:
            if isinstance(self._clips, Pictures):
                clip = self._clips.picture(number)
            else:
                clip = {name: rows[0] for name, rows in self._clips.read([number]).items()}
            held = self._held = (number, clip)
        return {name: array[place] if self._is_parted(name) else array for name, array in held[1].items()}

    def _is_parted(self, name: str) -> bool:
        return self._parted(self._clips.spec.fields[name])

    def _parted(self, field: Field) -> bool:
        return field.clip and field.frames == self.per_clip


def frames_of(source: Any) -> Any:
    """The frames of a source, or pictures, of clips; what has pictures, or is None, stays as it is."""
    image = None if source is None else source.spec.fields.get("image")
    return ClipFrames(source) if image is not None and image.clip else source


def of_frame(field: Field) -> Field:
    """The field of one frame of a clip; another stays as it is."""
    return dataclasses.replace(field, shape=field.shape[1:]) if field.clip else field
