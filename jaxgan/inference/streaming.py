"""Frames one after the other through a network that carries a memory from each to the next."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Hashable, Mapping

import jax
import numpy as np

from jaxgan.game import Memory
from jaxgan.inference.restorer import Restorer
from jaxgan.inference.tiling import Done

WAITING = "waiting"  # of what is kept of a stream: frames that were given and have not come out

Kept = Mapping[str, np.ndarray]  # what a stream goes on from, by names of its own


@dataclasses.dataclass
class _Place:
    """What a part of the frame is in the middle of."""

    memory: Memory = None  # None: a shot begins
    kept: list[np.ndarray] = dataclasses.field(default_factory=list)  # the leaves of the memory, as they were kept
    calls: int = 0  # of the network in this shot
    ahead: int = 0  # tiles to come that it was called with before they were kept
    tile: np.ndarray | None = None  # the last one
    waiting: collections.deque[Done] = dataclasses.field(default_factory=collections.deque)


class Stream:
    """Runs the tiles of frames as they come; each place in the frame has a memory of its own.

    At the end of a shot the memories are let go. What is kept in the middle of one (`keep`) is all that another stream
    needs to go on, given the `waiting` frames again.
    """

    def __init__(self, restorer: Restorer, kept: Kept | None = None):
        """`restorer` has a memory; `kept`: by an earlier stream over equal tiles."""
        self._restorer, self._kept = restorer, dict(kept or {})
        self._places: dict[Hashable, _Place] = {}
        self._held = int(self._kept.pop(WAITING, 0))

    @property
    def waiting(self) -> int:
        """How many frames have not come out yet."""
        return max((len(place.waiting) + place.ahead for place in self._places.values()), default=self._held)

    def add(self, tile: np.ndarray, done: Done, place: Hashable) -> None:
        """The next tile `[h,w,C]` of a place; `done` gets what the network makes of it, maybe with a later one."""
        at = self._places.get(place) or self._places.setdefault(place, self._new(len(self._places)))
        at.tile = tile
        at.waiting.append(done)
        if at.ahead:
            at.ahead -= 1
        else:
            self._run(at)

    def end_shot(self) -> None:
        """Finishes all frames; the next one is the first of a shot."""
        for at in self._places.values():
            for _ in range(self._restorer.delay):
                self._run(at)
        self._places, self._kept, self._held = {}, {}, 0

    def keep(self) -> dict[str, np.ndarray]:
        """All that another stream needs to go on after the frames that have come out."""
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
            if at.kept:  # files know no bfloat16
                leaves, structure = jax.tree.flatten(at.memory)
                read = [each.view(leaf.dtype) for each, leaf in zip(at.kept, leaves)]
                at.memory, at.kept = jax.tree.unflatten(structure, read), []
        images, at.memory = self._restorer.after(tiles, at.memory)
        at.calls += 1
        if at.calls > self._restorer.delay:
            at.waiting.popleft()(images[0])
