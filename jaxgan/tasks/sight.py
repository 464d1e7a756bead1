"""The discriminator's view of the pixels of a turn: augmentation and noise, independent for reals and fakes.

Shared draws would correlate the logits of a fake with those of the real in its row beyond what the images show.
DiffAugment (Zhao et al. 2020, section 3.2) and ADA (Karras et al. 2020a, section 2) draw independently for every image,
and so does R3GAN (Huang et al. 2024), which computes R1 and R2 with the draws of the loss. If pixels are given beside
the images, such as a mask, reals, fakes and these share the draws of geometric transformations, or they would no longer
match; colours, filters, noise and cutouts still apply to reals and fakes only, independently.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxgan.config.run import ADVERSARY
from jaxgan.errors import UserError
from jaxgan.game import Array, Key
from jaxgan.schedules import Number, at, make_schedule

Pixels = Any  # a pytree of images [B,H,W,C] or clips [B,T,H,W,C], as `Adversary` describes
Condition = Any  # a pytree of what is judged beside pixels: a label, a condition, a mask, or a dict of them
See = Callable[[Pixels], Pixels]  # pixels -> the same as the discriminator sees them

REALS, FAKES = 2, 3  # numbers folded into a turn's key for augmentation
NOISES = 2  # added to these for noise
MOVES = 6  # folded into a turn's key for geometric transformations that all pixels share


class Sight(NamedTuple):
    """The views of a turn on its reals, its fakes and what is given; they are deterministic."""

    reals: See
    fakes: See
    given: Callable[[Condition, Pixels], Condition]  # (given, the pixels beside it) -> given


def sight(
    key: Key,
    images_seen: Array,
    *,
    augment: Any = None,
    memory: Mapping[str, Array] | None = None,
    instance_noise: Number = 0.0,
    given: Condition = None,
    path: str = ADVERSARY,
) -> Sight:
    """The views of the turn with this key. `augment`: see `jaxgan.augment`, with its `memory`; None: no augmentation.

    `instance_noise` is the standard deviation of Gaussian noise, added last to every pixel in [-1, 1] (Sonderby et al.
    2017, "Amortised MAP inference"; Arjovsky & Bottou 2017, section 3). `given`: what is judged beside the images; if
    any of it is pixels, all pixels share geometric transformations. Raises UserError for pixels that cannot be
    augmented.
    """
    probability = None if augment is None else augment.probability(memory or {}, images_seen)
    together = augment is not None and any(map(_is_pixels, jax.tree.leaves(given)))
    if together and not hasattr(augment, "moved"):
        reason = f"{type(augment).__name__} has no `moved`, which transforms what is given beside the images with them"
        raise UserError(f"{path}.augment: {reason}; expected none")
    moves: dict[str, Any] = {"moving_key": jax.random.fold_in(key, MOVES)} if together else {}

    def seen(draw: int) -> See:
        def see(pixels: Pixels) -> Pixels:
            if augment is not None:
                _check_sizes(pixels, f"{path}.augment")
                one = lambda image: augment(jax.random.fold_in(key, draw), image, probability, **moves)  # noqa: E731
                pixels = jax.tree.map(one, pixels)
            if instance_noise == 0.0:
                return pixels
            deviation = at(instance_noise, images_seen, f"{path}.instance_noise")
            return _noisy(jax.random.fold_in(key, draw + NOISES), pixels, deviation)

        return see

    def beside(given: Condition, pixels: Pixels) -> Condition:
        if augment is None:
            return given
        places = jax.tree.leaves(pixels)[0].shape[1:-1]

        def move(leaf: Array) -> Array:
            if _is_pixels(leaf) and leaf.shape[1:-1] == places:
                return augment.moved(moves["moving_key"], leaf, probability)
            if leaf.ndim >= 4 or leaf.shape[1:] == places:  # a map of another size, or of integers
                reason = f"a condition of shape {leaf.shape[1:]} cannot be transformed with images of {places} pixels"
                raise UserError(f"{path}.augment: {reason}; expected none")
            return leaf

        return jax.tree.map(move, given)

    return Sight(seen(REALS), seen(FAKES), beside)


def check_instance_noise(number: Number, path: str = ADVERSARY) -> None:
    """Raise UserError for an invalid standard deviation, or schedule of one."""
    path = f"{path}.instance_noise"
    make_schedule(number, path)
    ends: dict[str, Any] = {path: number}
    if isinstance(number, Mapping):
        ends = {f"{path}.{name}": number[name] for name in ("value", "start", "stop") if name in number}
    for key, value in ends.items():
        if not 0.0 <= value < math.inf:
            raise UserError(f"{key}: got {value}, expected 0 or more and finite")


def _is_pixels(leaf: Array) -> bool:
    """Whether it is images or clips, and not labels, vectors or tokens."""
    return leaf.ndim >= 4 and jnp.issubdtype(leaf.dtype, jnp.floating)


def _check_sizes(pixels: Pixels, path: str) -> None:
    if len({leaf.shape[1:-1] for leaf in jax.tree.leaves(pixels)}) > 1:
        raise UserError(f"{path}: images of several scales cannot be augmented; expected none")


def _noisy(key: Key, image: Pixels, deviation: Array | float) -> Pixels:
    leaves, structure = jax.tree.flatten(image)
    keys = jax.random.split(key, len(leaves))
    noisy = [leaf + deviation * jax.random.normal(k, leaf.shape, leaf.dtype) for k, leaf in zip(keys, leaves)]
    return jax.tree.unflatten(structure, noisy)
