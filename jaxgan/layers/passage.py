"""Running films through networks whose layers look at other frames: as whole clips, or in pieces with a memory.

A layer that looks at later frames waits for them (Qi et al. 2022, "BSVD"), so in pieces its output is delayed. Each
layer states only which frames it looks at, and the same code handles both cases.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxgan.layers.temporal import PARTS, Frames, with_past

COUNT = "count"  # of the frames before the piece, capped where more make no difference

Piece = Float[Array, "b t2 *n c"]  # its length may differ from that of its input
Memory = Mapping[str, Any]  # arrays by name


class Passage:
    """One piece of a film on its way through a network; `late` is its current delay behind the input, in frames.

    Frames before the film are zero. A whole clip ends with one copy of its last frame per frame of delay, as films in
    pieces do: `extended` appends these copies, and each layer that looks ahead drops some of them.
    """

    def __init__(self, memory: Memory | None = None):
        """`memory` of the previous pieces, empty for the first piece; None: the clip is whole."""
        self._memory, self._kept = memory, dict[str, Any]()
        self.late = 0
        self.copies = 0  # of the last frame, appended to a whole clip

    @property
    def whole(self) -> bool:
        """Whether this is a whole clip, not a piece of a film."""
        return self._memory is None

    def extended(self, clip: Frames, delay: int) -> Piece:
        """A whole clip followed by `delay` copies of its last frame; pieces are returned unchanged."""
        if not self.whole:
            return clip
        self.copies = delay
        return jnp.concatenate([clip, *[clip[:, -1:]] * delay], axis=1)

    def window(self, x: Frames, name: str, before: int, after: int) -> Piece:
        """x with neighbouring frames: frame i is now frame i + before, its window is frames i to i + before + after.

        This delays the film by `after` more frames; a whole clip loses this many frames.
        """
        if self.whole:
            self.late += after
            return jnp.pad(x, ((0, 0), (before, 0), *((0, 0),) * (x.ndim - 2)))
        number = self._earlier + jnp.arange(x.shape[1]) - self.late  # negative: before the first frame
        x = jnp.where((number >= 0).reshape(-1, *(1,) * (x.ndim - 2)), x, jnp.zeros((), x.dtype))
        whole, self._kept[name] = with_past(x, self.recall(name), before + after)
        self.late += after
        return whole

    def shifted(self, x: Frames, name: str, *, ahead: bool, parts: int = PARTS) -> Piece:
        """The temporal shift (Lin et al. 2019): the first part of the channels comes from the previous frame.

        With `ahead`, the first part comes from the next frame, for which the film waits, and the second from the
        previous one, as in `temporal.shift`.
        """
        width = x.shape[-1] // parts
        if not ahead:
            earlier = self.window(x[..., :width], name, 1, 0)[:, :-1]
            return jnp.concatenate([earlier, x[..., width:]], axis=-1)
        around = self.window(x, name, 1, 1)
        from_next, from_last = around[:, 2:, ..., :width], around[:, :-2, ..., width : 2 * width]
        return jnp.concatenate([from_next, from_last, around[:, 1:-1, ..., 2 * width :]], axis=-1)

    def caught_up(self, x: Frames, name: str, late: int) -> Piece:
        """Frames from a point where the delay was only `late`, aligned with the current frames."""
        missing = self.late - late
        if not missing:
            return x
        if self.whole:
            return x[:, : x.shape[1] - missing]
        whole, self._kept[name] = with_past(x, self.recall(name), missing)
        return whole[:, : x.shape[1]]

    def recall(self, name: str) -> Any:
        """The value kept by the previous piece; None for the first piece and for a whole clip."""
        return None if self._memory is None else self._memory.get(name)

    def keep(self, name: str, value: Any) -> None:
        """Keeps a value for the next piece."""
        self._kept[name] = value

    def memory(self, frames: int) -> dict[str, Any]:
        """The memory for the next piece; `frames` is the number of frames of this one."""
        return {**self._kept, COUNT: jnp.minimum(self._earlier + frames, self.late)}

    @property
    def _earlier(self) -> Array:
        count = self.recall(COUNT)
        return jnp.zeros((), jnp.int32) if count is None else count
