"""Perceptual path length of a generator, in the feature space of the other scores."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np

from jaxgan.metrics.perceptual_path import DISCARDED, EPSILON, lerp, path_lengths, perceptual_path_length, slerp

PATHS_AT_ONCE = 250  # paths whose images are in memory

Synthesize = Callable[[np.ndarray, slice], np.ndarray]  # codes [n,...], rows of their paths -> images in [-1, 1]
Features = Callable[[np.ndarray], np.ndarray]  # images in [0, 255], not rounded, [n,H,W,C] -> [n,D]


@runtime_checkable
class Featured(Protocol):
    """An evaluator that exposes the features in which it compares images."""

    @property
    def manifest(self) -> Mapping[str, Any]:
        """The manifest, which has the name of the features under `features`."""
        ...

    def features(self, images: np.ndarray) -> np.ndarray:
        """Features `[n,D]` of images in [0, 255]. Raises UserError if there is no feature network."""
        ...

    def labels(self, count: int) -> np.ndarray | None:
        """Labels to generate `count` samples with; None: no labels."""
        ...


def path_manifest(paths: int, *, straight: bool) -> dict[str, Any]:
    """What a path length was computed with, besides its features; only path lengths with equal manifests compare.

    `straight`: the paths are straight lines between styles, not great circles between latents.
    """
    space = "straight lines between styles" if straight else "great circles between latents"
    return {"paths": paths, "space": space, "epsilon": EPSILON, "discarded_percent": DISCARDED}


def feature_path_length(
    synthesize: Synthesize, features: Features, starts: np.ndarray, ends: np.ndarray, *, straight: bool
) -> float:
    """Mean squared change of features per unit of path, without the extreme percentiles (Karras et al. 2019, eq. 2).

    `starts` and `ends` `[n,D]` are styles, connected by straight lines, or latents, connected by great circles. The
    paper's distance is LPIPS. The features of other networks give other values, so the score's name includes them.
    """

    def distance(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return np.square(features(first) - features(second)).sum(axis=1, dtype=np.float64)

    def images(codes: np.ndarray, rows: slice) -> np.ndarray:
        return np.clip(synthesize(codes.astype(np.float32), rows), -1.0, 1.0) * 127.5 + 127.5

    size = np.sqrt(starts.shape[1])  # the norm of a latent; slerp returns unit vectors
    between = lerp if straight else lambda a, b, share: size * slerp(a, b, share)
    lengths = []
    for start in range(0, len(starts), PATHS_AT_ONCE):
        rows = slice(start, start + PATHS_AT_ONCE)
        some = functools.partial(images, rows=rows)
        lengths.append(path_lengths(some, distance, starts[rows], ends[rows], between=between))
    return perceptual_path_length(np.concatenate(lengths))
