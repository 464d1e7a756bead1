"""The default conditions of samples: captions or vectors of real examples."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np

from jaxgan.building.opening import open_source
from jaxgan.data.sources import Source

if TYPE_CHECKING:
    from jaxgan.config.run import RunConfig

READ = 250  # examples read at a time, together with their images

Conditions = Callable[[Collection[str], Sequence[int], int], dict[str, np.ndarray]]


class RealConditions:
    """Fields of random training examples of a run. The data are opened when they are first requested."""

    def __init__(self, config: RunConfig, allow: Sequence[str] = ()):
        """Opens nothing yet. `allow` names further packages that a source may come from."""
        self._config, self._allow = config, allow

    def __call__(self, names: Collection[str], seed: Sequence[int], count: int) -> dict[str, np.ndarray]:
        """These fields `[count, ...]` of examples that the seed chooses; examples repeat only if there are too few."""
        source = self._source
        chosen = np.resize(np.random.default_rng(seed).permutation(source.spec.size), count)
        parts = [source.read(chosen[start : start + READ]) for start in range(0, count, READ)]
        return {name: np.concatenate([part[name] for part in parts]) for name in names}

    @functools.cached_property
    def _source(self) -> Source:
        return open_source(self._config.data, self._config.data.split, self._allow)
