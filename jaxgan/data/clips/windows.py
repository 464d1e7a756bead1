"""Chooses the frames of each example: clips start at regular distances in a shot, and never cross its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from jaxgan.errors import UserError
from jaxgan.system.plain import plain

if TYPE_CHECKING:
    from jaxgan.config.run import DataConfig


class Windows:
    """All clips of `config.frames` frames, taken every `config.stride` frames, by number.

    The first clip of a shot starts at its first frame, each further one `config.hop` frames later (None: right after
    the previous clip). Frames left over at the end of a shot are not used.
    """

    def __init__(self, lengths: Sequence[int] | np.ndarray, config: DataConfig, split: str):
        """`lengths`: of the shots, in frames. Raises UserError if a clip is longer than all of them."""
        frames = config.frames
        if frames is None:
            raise ValueError("config.data.frames: got None, expected the frames of a clip")
        self.frames, self._stride = frames, config.stride
        self.span = (frames - 1) * config.stride + 1  # frames of the shot from the first to the last of the clip
        self.hop = config.hop or self.span
        lengths = np.asarray(lengths, np.int64)
        counts = np.where(lengths >= self.span, (lengths - self.span) // self.hop + 1, 0)
        self._ends = np.cumsum(counts)
        self.size = int(counts.sum())
        self.short = int((counts == 0).sum())  # shots that are too short for a clip
        if not self.size:
            longest = f"the longest shot has {lengths.max()}" if lengths.size else "there is no shot"
            with_stride = f" with config.data.stride={config.stride}" if config.stride > 1 else ""
            raise UserError(
                f"config.data.frames={frames}{with_stride}: a clip takes {self.span} frames, {longest} in the split "
                f"{plain(split)!r} of {plain(config.name)!r}"
            )

    def __call__(self, index: int) -> tuple[int, np.ndarray]:
        """The number of the shot of a clip, and its frames within the shot int64 `[T]`."""
        if not 0 <= index < self.size:
            raise IndexError(index)
        shot = int(self.shots([index])[0])
        place = index - (int(self._ends[shot - 1]) if shot else 0)
        return shot, place * self.hop + np.arange(self.frames) * self._stride

    def shots(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """The numbers of the shots of clips, int64 `[n]`."""
        return np.searchsorted(self._ends, np.asarray(indices, np.int64), side="right")

    def describe(self) -> str:
        """Describes the number of clips and how they are taken."""
        apart = "" if self._stride == 1 else f", {self._stride} apart"
        short = f"; too short and not used: {self.short:,} of {len(self._ends):,} shots" if self.short else ""
        each = "one after the other" if self.hop == self.span else f"one begins every {self.hop} frames"
        return f"{self.size:,} of {self.frames} frames{apart}, {each}{short}"
