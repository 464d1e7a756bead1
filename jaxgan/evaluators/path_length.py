"""How evenly a generator's images change along paths between its latents, in the features of the other scores."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np

from jaxgan.metrics.perceptual_path import DISCARDED, EPSILON, lerp, path_lengths, perceptual_path_length, slerp

PATHS_AT_ONCE = 250  # whose images are held

Synthesize = Callable[[np.ndarray, slice], np.ndarray]  # codes [n,...] of which paths -> images [n,H,W,C] in [-1, 1]
Features = Callable[[np.ndarray], np.ndarray]  # images of 0 to 255, not rounded, [n,H,W,C] -> [n,D]


@runtime_checkable
class Featured(Protocol):
    """An evaluator that tells the features in which it compares images."""

    @property
    def manifest(self) -> Mapping[str, Any]:
        """With the name of the features as `features`."""
        ...

    def features(self, images: np.ndarray) -> np.ndarray:
        """Features `[n,D]` of images of 0 to 255. Raises UserError where there is no network of features."""
        ...

    def labels(self, count: int) -> np.ndarray | None:
        """What `count` samples are asked for; None: no labels."""
        ...


def path_manifest(paths: int, *, straight: bool) -> dict[str, Any]:
    """What a path length was made with, beside its features: only equal ones compare. `straight` as below."""
    space = "straight lines between styles" if straight else "great circles between latents"
    return {"paths": paths, "space": space, "epsilon": EPSILON, "discarded_percent": DISCARDED}


def feature_path_length(
    synthesize: Synthesize, features: Features, starts: np.ndarray, ends: np.ndarray, *, straight: bool
) -> float:
    """The mean squared change of features a unit of path, without the extreme percents (Karras et al. 2019, eq. 2).

    `starts` and `ends` `[n,D]` are styles, which are joined by straight lines, or latents, by great circles.
    The paper's distance is LPIPS; features of other networks give other numbers, so the name says which.
    """

    def distance(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return np.square(features(first) - features(second)).sum(axis=1, dtype=np.float64)

    def images(codes: np.ndarray, rows: slice) -> np.ndarray:
        return np.clip(synthesize(codes.astype(np.float32), rows), -1.0, 1.0) * 127.5 + 127.5

    size = np.sqrt(starts.shape[1])  # of a latent: slerp gives directions
    between = lerp if straight else lambda a, b, share: size * slerp(a, b, share)
    lengths = []
    for start in range(0, len(starts), PATHS_AT_ONCE):
        rows = slice(start, start + PATHS_AT_ONCE)
        some = functools.partial(images, rows=rows)
        lengths.append(path_lengths(some, distance, starts[rows], ends[rows], between=between))
    return perceptual_path_length(np.concatenate(lengths))
