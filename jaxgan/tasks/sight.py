"""What a discriminator sees of the pixels of a turn: augmented and with noise, the reals and the fakes each with
draws of its own.

One draw for both would tie the judgement of a fake to that of the real of its row by more than what they show.
DiffAugment (Zhao et al. 2020, section 3.2) and ADA (Karras et al. 2020a, section 2) draw for every image anew, and
so does R3GAN (Huang et al. 2024), whose R1 and R2 are taken through the draws of the loss. Where pixels are given
beside the images, such as a mask, all of them are moved by one draw, or they would no longer fit; colours, filters,
noise and holes are those of the reals and the fakes alone.
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

See = Callable[[Any], Any]  # pixels [B,H,W,C], a clip [B,T,H,W,C], or a tree of them -> as the discriminator sees them

REALS, FAKES = 2, 3  # what a turn's key is folded with, for augmentation
NOISES = 2  # what is added to that, for noise
MOVES = 6  # what a turn's key is folded with, where all pixels are moved by one draw


class Sight(NamedTuple):
    """What a turn makes of its reals, of its fakes and of what is given; the same pixels are the same twice."""

    reals: See
    fakes: See
    given: Callable[[Any, Any], Any]  # (given, the pixels that it stands beside) -> given


def sight(
    key: Key,
    images_seen: Array,
    *,
    augment: Any = None,
    memory: Mapping[str, Array] | None = None,
    instance_noise: Number = 0.0,
    given: Any = None,
    path: str = ADVERSARY,
) -> Sight:
    """Of the turn that has this key. `augment`: see `jaxgan.augment`, with what it remembers; None: none.

    `instance_noise` is the standard deviation of Gaussian noise on every pixel, whose range is [-1, 1], added last
    (Sonderby et al. 2017, "Amortised MAP inference"; Arjovsky & Bottou 2017, section 3). `given`: what is judged beside
    the images; if any of it is pixels, all pixels are moved by one draw. Raises UserError for pixels that cannot be.
    """
    probability = None if augment is None else augment.probability(memory or {}, images_seen)
    together = augment is not None and any(map(_is_pixels, jax.tree.leaves(given)))
    if together and not hasattr(augment, "moved"):
        words = f"{type(augment).__name__} has no `moved`, which moves what is given beside the images with them"
        raise UserError(f"{path}.augment: {words}; expected none")
    moves: dict[str, Any] = {"moving_key": jax.random.fold_in(key, MOVES)} if together else {}

    def seen(draw: int) -> See:
        def see(pixels: Any) -> Any:
            if augment is not None:
                _check_sizes(pixels, f"{path}.augment")
                one = lambda image: augment(jax.random.fold_in(key, draw), image, probability, **moves)  # noqa: E731
                pixels = jax.tree.map(one, pixels)
            if instance_noise == 0.0:
                return pixels
            deviation = at(instance_noise, images_seen, f"{path}.instance_noise")
            return _noisy(jax.random.fold_in(key, draw + NOISES), pixels, deviation)

        return see

    def beside(given: Any, pixels: Any) -> Any:
        if augment is None:
            return given
        places = jax.tree.leaves(pixels)[0].shape[1:-1]

        def move(leaf: Array) -> Array:
            if _is_pixels(leaf) and leaf.shape[1:-1] == places:
                return augment.moved(moves["moving_key"], leaf, probability)
            if leaf.ndim >= 4 or leaf.shape[1:] == places:  # a map of another size, or of whole numbers
                words = f"what is given, of shape {leaf.shape[1:]}, cannot be moved with images of {places} pixels"
                raise UserError(f"{path}.augment: {words}; expected none")
            return leaf

        return jax.tree.map(move, given)

    return Sight(seen(REALS), seen(FAKES), beside)


def check_instance_noise(number: Number, path: str = ADVERSARY) -> None:
    """Raise UserError for what is no standard deviation, or no schedule of one."""
    path = f"{path}.instance_noise"
    make_schedule(number, path)
    ends: dict[str, Any] = {path: number}
    if isinstance(number, Mapping):
        ends = {f"{path}.{name}": number[name] for name in ("value", "start", "stop") if name in number}
    for key, value in ends.items():
        if not 0.0 <= value < math.inf:
            raise UserError(f"{key}: got {value}, expected 0 or more and finite")


def _is_pixels(leaf: Array) -> bool:
    """Images or clips, and no labels, vectors or tokens."""
    return leaf.ndim >= 4 and jnp.issubdtype(leaf.dtype, jnp.floating)


def _check_sizes(pixels: Any, path: str) -> None:
    if len({leaf.shape[1:-1] for leaf in jax.tree.leaves(pixels)}) > 1:
        raise UserError(f"{path}: images of several scales cannot be augmented; expected none")


def _noisy(key: Key, image: Any, deviation: Array | float) -> Any:
    leaves, structure = jax.tree.flatten(image)
    keys = jax.random.split(key, len(leaves))
    noisy = [leaf + deviation * jax.random.normal(k, leaf.shape, leaf.dtype) for k, leaf in zip(keys, leaves)]
    return jax.tree.unflatten(structure, noisy)
