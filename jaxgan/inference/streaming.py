"""Frame-by-frame application of a network with a memory from each frame to the next."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Hashable, Mapping

import jax
import numpy as np

from jaxgan.game import Memory
from jaxgan.inference.restorer import Restorer
from jaxgan.inference.tiling import Done

WAITING = "waiting"  # key in a stream's saved state: number of frames put in that have not come out

Kept = Mapping[str, np.ndarray]  # saved state from which a stream continues


@dataclasses.dataclass
class _Place:
    """The state of one place in the frame."""

    memory: Memory = None  # None: at the beginning of a shot
    kept: list[np.ndarray] = dataclasses.field(default_factory=list)  # leaves of the saved memory
    calls: int = 0  # calls of the network in this shot
    ahead: int = 0  # number of coming tiles that the network has seen already, before the state was saved
    tile: np.ndarray | None = None  # the last tile
    waiting: collections.deque[Done] = dataclasses.field(default_factory=collections.deque)


class Stream:
    """Runs the tiles of frames as they arrive; each place in the frame has its own memory.

    The memories are discarded at the end of a shot. The state saved in the middle of a shot (`keep`) is all that
    another stream needs to continue, if it is given the `waiting` frames again.
    """

    def __init__(self, restorer: Restorer, kept: Kept | None = None):
        """`restorer` must have a memory; `kept`: state saved by an earlier stream with the same tiles."""
        self._restorer, self._kept = restorer, dict(kept or {})
        self._places: dict[Hashable, _Place] = {}
        self._held = int(self._kept.pop(WAITING, 0))

    @property
    def waiting(self) -> int:
        """Number of frames that have not come out yet."""
        return max((len(place.waiting) + place.ahead for place in self._places.values()), default=self._held)

    def add(self, tile: np.ndarray, done: Done, place: Hashable) -> None:
        """Add the next tile `[h,w,C]` of a place; `done` gets its result, possibly only when a later tile is added."""
        at = self._places.get(place) or self._places.setdefault(place, self._new(len(self._places)))
        at.tile = tile
        at.waiting.append(done)
        if at.ahead:
            at.ahead -= 1
        else:
            self._run(at)

    def end_shot(self) -> None:
        """Finish all frames; the next one begins a shot."""
        for at in self._places.values():
            for _ in range(self._restorer.delay):
                self._run(at)
        self._places, self._kept, self._held = {}, {}, 0

    def keep(self) -> dict[str, np.ndarray]:
        """The state from which another stream can continue after the frames that have come out."""
        kept: dict[str, np.ndarray] = {WAITING: np.asarray(self.waiting)}
        for number, place in enumerate(self._places.values()):
            leaves = enumerate(jax.tree.leaves(place.memory))
            kept |= {f"{number}.{index}": np.asarray(leaf) for index, leaf in leaves}
        return kept

    def _new(self, number: int) -> _Place:
        kept = [array for name, array in self._kept.items() if name.startswith(f"{number}.")]
        return _Place(kept=kept, calls=self._held, ahead=self._held)

    def _run(self, at: _Place) -> None:
        assert at.tile is not None
        tiles = at.tile[None]
        if at.memory is None:
            at.memory = self._restorer.start(tiles)
            if at.kept:  # files cannot store bfloat16
                leaves, structure = jax.tree.flatten(at.memory)
                read = [each.view(leaf.dtype) for each, leaf in zip(at.kept, leaves)]
                at.memory, at.kept = jax.tree.unflatten(structure, read), []
        images, at.memory = self._restorer.after(tiles, at.memory)
        at.calls += 1
        if at.calls > self._restorer.delay:
            at.waiting.popleft()(images[0])
