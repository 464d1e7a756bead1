"""The order of examples: a function of the seed alone, whatever the cache, the devices or the batch size.

Each epoch is a permutation by a block cipher with a key of its own, so any position can be computed directly, and
checkpoints store nothing but the position.
"""

from __future__ import annotations

import functools

import numpy as np

from jaxgan.fields import MAIN

ROUNDS = 4  # of the cipher
LEAST_WORD = 8  # minimum bits of half a block
SMALL = 2**14  # examples up to which a whole epoch is shuffled at once; a block of the cipher is then far larger
STRETCH = 2**13  # positions that are computed at once for larger data sets
KEPT = 8  # stretches that are cached, for readers in several threads


class Order:
    """An endless sequence of `size` examples, reshuffled in each epoch. The name of a further source changes its order.

    The order equals that of Grain's `MapDataset.range(size).shuffle(seed).repeat()`, but is computed in arrays instead
    of item by item, and does not depend on Grain's version. It is the cipher Simon (Beaulieu et al. 2013,
    https://eprint.iacr.org/2013/404) with four rounds over the next power of four, at least 2^16, applied until the
    result is an index (cycle walking, Black & Rogaway 2002, section 3). The orders differ for sizes of 4^k + 1 from
    65,537 on, for which Grain's repeats one example and omits another. The round keys are the C++ standard's `seed_seq`
    of the seed of the epoch.
    """

    def __init__(self, size: int, seed: int, name: str = MAIN):
        own = seed if name == MAIN else (seed, *name.encode())
        # epoch e has the seed `seed + e`: without this hash, neighbouring seeds would share their epochs, one apart
        self._seed = int(np.random.SeedSequence(own).generate_state(1)[0])
        self._size = size
        self._word = max(LEAST_WORD, ((size - 1).bit_length() + 1) // 2)
        self._length = size if size <= SMALL else STRETCH
        self._stretch = functools.lru_cache(maxsize=KEPT)(self._epoch if size <= SMALL else self._walk)

    def indices(self, position: int, count: int) -> np.ndarray:
        """`count` examples from `position` on, the global number of examples before them: int32 `[count]`."""
        if self._size == 1:  # the cipher would walk through its whole block
            return np.zeros(count, np.int32)
        first, last = position // self._length, (position + count - 1) // self._length
        stretches = [self._stretch(number) for number in range(first, last + 1)]
        start = position - first * self._length
        return np.concatenate([np.empty(0, np.int32), *stretches])[start : start + count]

    def _epoch(self, epoch: int) -> np.ndarray:
        """All examples of one epoch. The walks of all indices advance together, and double their length each time."""
        following = self._encrypt(np.arange(4**self._word, dtype=np.uint32), self._keys(np.array([epoch])))
        while (following[: self._size] >= self._size).any():
            following = np.where(following < self._size, following, following[following])
        return following[: self._size].astype(np.int32)

    def _walk(self, number: int) -> np.ndarray:
        """The examples of one stretch of positions, which may cross from one epoch to the next."""
        places = np.arange(number * self._length, (number + 1) * self._length)
        epochs, within = np.divmod(places, self._size)
        keys = self._keys(np.arange(epochs[0], epochs[-1] + 1))[:, epochs - epochs[0]]
        index = self._encrypt(within.astype(np.uint32), keys)
        outside = np.flatnonzero(index >= self._size)
        while outside.size:  # few: a block has less than four times as many values as there are examples
            index[outside] = self._encrypt(index[outside], keys[:, outside])
            outside = outside[index[outside] >= self._size]
        return index.astype(np.int32)

    def _keys(self, epochs: np.ndarray) -> np.ndarray:
        return _seed_sequence(((self._seed + epochs) % 2**32).astype(np.uint32)) & np.uint32(2**self._word - 1)

    def _encrypt(self, values: np.ndarray, keys: np.ndarray) -> np.ndarray:
        """Encrypts uint32 `[N]` below 4^word with the round keys `[rounds,N]`; a permutation for each key."""
        word, mask = self._word, np.uint32(2**self._word - 1)

        def turned(x: np.ndarray, by: int) -> np.ndarray:
            return ((x << by) | (x >> (word - by))) & mask

        left, right = (values >> np.uint32(word)) & mask, values & mask
        for key in keys:
            left, right = right, left ^ (turned(right, 1) & turned(right, 8)) ^ turned(right, 2) ^ key
        return (left << word) | right


def _seed_sequence(seeds: np.ndarray) -> np.ndarray:
    """The output of C++'s `std::seed_seq{seed}` for each seed, uint32 `[N]`: uint32 `[rounds,N]`.

    ISO/IEC 14882, [rand.util.seedseq], for one word in and four out.
    """
    state = [np.full_like(seeds, 0x8B8B8B8B) for _ in range(ROUNDS)]
    given = [np.ones_like(seeds), seeds + np.uint32(1), *(np.full_like(seeds, k) for k in range(2, ROUNDS))]
    for k in range(ROUNDS):
        here, after, last = k, (k + 1) % ROUNDS, (k + 2) % ROUNDS
        mixed = state[here] ^ state[after] ^ state[k - 1]
        first = 1664525 * (mixed ^ (mixed >> 27))
        second = first + given[k]
        state[after], state[last], state[here] = state[after] + first, state[last] + second, second
    for k in range(ROUNDS):
        here, after, last = k, (k + 1) % ROUNDS, (k + 2) % ROUNDS
        mixed = state[here] + state[after] + state[k - 1]
        first = 1566083941 * (mixed ^ (mixed >> 27))
        second = first - np.uint32(k)
        state[after], state[last], state[here] = state[after] ^ first, state[last] ^ second, second
    return np.stack(state)
