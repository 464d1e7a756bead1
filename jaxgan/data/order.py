"""The order of examples: one function of the seed, whatever the cache, the devices or the batch size."""

from __future__ import annotations

import grain
import numpy as np


class Order:
    """An endless walk over `size` examples, shuffled anew in each epoch by Grain's index shuffle.

    The shuffle is a bijection computed item by item (about 7 us each), so any position is reached at
    once and nothing but the position needs saving.
    """

    def __init__(self, size: int, seed: int):
        # Grain gives epoch e the seed `seed + e`: neighbouring seeds would walk the same epochs, one apart.
        spread = int(np.random.SeedSequence(seed).generate_state(1)[0])
        self._items = grain.MapDataset.range(size).shuffle(seed=spread).repeat()

    def indices(self, position: int, count: int) -> np.ndarray:
        """The examples from `position` (the global count of examples before them) on: int32 `[count]`."""
        walk = (self._items[place] for place in range(position, position + count))
        return np.fromiter(walk, dtype=np.int32, count=count)
