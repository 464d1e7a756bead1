"""How films go through networks whose layers look at other frames: as whole clips, or in pieces with a memory.

A layer that looks at later frames waits for them (Qi et al. 2022, "BSVD"): in pieces its frames come out late. Each
layer says only which frames it looks at, and the same lines compute both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxgan.layers.temporal import PARTS, Frames, with_past

COUNT = "count"  # of the frames that went before, or as many as make a difference

Piece = Float[Array, "b t2 *n c"]  # of another length than what it is made of
Memory = Mapping[str, Any]  # arrays by name


class Passage:
    """One piece of a film on its way through a network; `late` is by how many frames it is behind what came in.

    Before the film is zero. A whole clip goes on with its last frame as often as the network is late, as films do that
    come in pieces: `extended` adds these, and each layer that looks ahead leaves some of them out.
    """

    def __init__(self, memory: Memory | None = None):
        """`memory` of the pieces before, empty for the first; None: the clip is whole."""
        self._memory, self._kept = memory, dict[str, Any]()
        self.late = 0
        self.copies = 0  # of the last frame, with which a whole clip ends

    @property
    def whole(self) -> bool:
        """Whether the clip is all there is."""
        return self._memory is None

    def extended(self, clip: Frames, delay: int) -> Piece:
        """A whole clip and its last frame `delay` times, or the piece as it is."""
        if not self.whole:
            return clip
        self.copies = delay
        return jnp.concatenate([clip, *[clip[:, -1:]] * delay], axis=1)

    def window(self, x: Frames, name: str, before: int, after: int) -> Piece:
        """x with what stands around its frames: its frame i is the `before`th of those from i to i + before + after.

        From then on the film is `after` frames later. A whole clip loses so many frames.
        """
        if self.whole:
            self.late += after
            return jnp.pad(x, ((0, 0), (before, 0), *((0, 0),) * (x.ndim - 2)))
        number = self._earlier + jnp.arange(x.shape[1]) - self.late  # below 0: what came before the first frame
        x = jnp.where((number >= 0).reshape(-1, *(1,) * (x.ndim - 2)), x, jnp.zeros((), x.dtype))
        whole, self._kept[name] = with_past(x, self.recall(name), before + after)
        self.late += after
        return whole

    def shifted(self, x: Frames, name: str, *, ahead: bool, parts: int = PARTS) -> Piece:
        """The temporal shift (Lin et al. 2019): a part of the channels from the frame before.

        With `ahead` another from the next frame, for which the film waits: the first part, as in `temporal.shift`.
        """
        width = x.shape[-1] // parts
        if not ahead:
            earlier = self.window(x[..., :width], name, 1, 0)[:, :-1]
            return jnp.concatenate([earlier, x[..., width:]], axis=-1)
        around = self.window(x, name, 1, 1)
        from_next, from_last = around[:, 2:, ..., :width], around[:, :-2, ..., width : 2 * width]
        return jnp.concatenate([from_next, from_last, around[:, 1:-1, ..., 2 * width :]], axis=-1)

    def caught_up(self, x: Frames, name: str, late: int) -> Piece:
        """Frames from where the film was only `late` frames behind, beside those of now."""
        missing = self.late - late
        if not missing:
            return x
        if self.whole:
            return x[:, : x.shape[1] - missing]
        whole, self._kept[name] = with_past(x, self.recall(name), missing)
        return whole[:, : x.shape[1]]

    def recall(self, name: str) -> Any:
        """What was kept of the piece before; None of the first one and of a whole clip."""
        return None if self._memory is None else self._memory.get(name)

    def keep(self, name: str, value: Any) -> None:
        """For the next piece."""
        self._kept[name] = value

    def memory(self, frames: int) -> dict[str, Any]:
        """For the next piece, of which this one had so many frames."""
        return {**self._kept, COUNT: jnp.minimum(self._earlier + frames, self.late)}

    @property
    def _earlier(self) -> Array:
        count = self.recall(COUNT)
        return jnp.zeros((), jnp.int32) if count is None else count
