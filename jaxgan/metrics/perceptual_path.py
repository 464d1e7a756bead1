"""Perceptual path length: smoothness of image changes along paths between latents (Karras et al. 2019, section 4.1)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

EPSILON = 1e-4  # step along a path
DISCARDED = 1.0  # percent discarded of the smallest and of the largest lengths

Points = Float[np.ndarray, "n z"]


def slerp(a: Points, b: Points, share: float | Float[np.ndarray, "n 1"]) -> Points:
    """Points on the great circle between the directions of a and b, of unit length."""
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    cosine = (a * b).sum(axis=1, keepdims=True)
    across = b - cosine * a
    across = across / np.linalg.norm(across, axis=1, keepdims=True)
    angle = share * np.arccos(np.clip(cosine, -1.0, 1.0))
    return a * np.cos(angle) + across * np.sin(angle)


def lerp(a: Points, b: Points, share: float | Float[np.ndarray, "n 1"]) -> Points:
    """Points on the straight line between a and b."""
    return a + (b - a) * share


def path_lengths(
    draw: Callable[[Points], np.ndarray],
    distance: Callable[[np.ndarray, np.ndarray], Float[np.ndarray, " m"]],
    starts: Points,
    ends: Float[np.ndarray, "m y"],
    *,
    between: Callable[..., Points] = lerp,
    epsilon: float = EPSILON,
) -> Float[np.ndarray, " n"]:
    """The distance of images one step apart at the start of each path, divided by epsilon^2 (eq. 2).

    `draw` generates images from latents. `distance` compares two sets of images and should behave like a squared
    distance in a perceptual space. Raises ValueError if the shapes of starts and ends differ.
    """
    if starts.shape != ends.shape:
        raise ValueError(f"got starts of shape {starts.shape} and ends of {ends.shape}, expected equal shapes")
    first, second = draw(between(starts, ends, 0.0)), draw(between(starts, ends, epsilon))
    return np.asarray(distance(first, second), np.float64) / epsilon**2


def perceptual_path_length(lengths: Float[np.ndarray, " n"]) -> float:
    """The mean of the lengths without the smallest and the largest 1 percent."""
    low = np.percentile(lengths, DISCARDED, method="lower")
    high = np.percentile(lengths, 100.0 - DISCARDED, method="higher")
    return float(lengths[(lengths >= low) & (lengths <= high)].mean())
