"""What the discriminator sees of the images of a turn: augmented and with noise, the reals and the fakes each with
draws of its own.

One draw for both would tie the judgement of a fake to that of the real of its row by more than what they show.
DiffAugment (Zhao et al. 2020, section 3.2) and ADA (Karras et al. 2020a, section 2) draw for every image anew, and
so does R3GAN (Huang et al. 2024), whose R1 and R2 are taken through the draws of the loss.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax

from jaxgan.errors import UserError
from jaxgan.game import Array, Key
from jaxgan.schedules import Number, at, make_schedule

See = Callable[[Any], Any]  # an image [B,H,W,C], or all its scales -> the same as the discriminator sees it

REALS, FAKES = 2, 3  # what a turn's key is folded with, for augmentation
NOISES = 2  # what is added to that, for noise
INSTANCE_NOISE = "config.task.instance_noise"


class Sight(NamedTuple):
    """What a turn makes of its reals and of its fakes; the same images are the same twice."""

    reals: See
    fakes: See


def sight(
    key: Key,
    images_seen: Array,
    *,
    augment: Any = None,
    memory: Mapping[str, Array] | None = None,
    instance_noise: Number = 0.0,
) -> Sight:
    """Of the turn that has this key. `augment`: see `jaxgan.augment`, with what it remembers; None: none.

    `instance_noise` is the standard deviation of Gaussian noise on every pixel, whose range is [-1, 1], added last
    (Sonderby et al. 2017, "Amortised MAP inference"; Arjovsky & Bottou 2017, section 3).
    """
    probability = None if augment is None else augment.probability(memory or {}, images_seen)

    def seen(draw: int) -> See:
        def see(image: Any) -> Any:
            if augment is not None:
                if isinstance(image, tuple):
                    words = "images of several scales cannot be augmented; accepted is none"
                    raise UserError(f"config.task.augment: {words}")
                image = augment(jax.random.fold_in(key, draw), image, probability)
            if instance_noise == 0.0:
                return image
            deviation = at(instance_noise, images_seen, INSTANCE_NOISE)
            return _noisy(jax.random.fold_in(key, draw + NOISES), image, deviation)

        return see

    return Sight(seen(REALS), seen(FAKES))


def check_instance_noise(number: Number) -> None:
    """Raise UserError for what is no standard deviation, or no schedule of one."""
    make_schedule(number, INSTANCE_NOISE)
    ends: dict[str, Any] = {INSTANCE_NOISE: number}
    if isinstance(number, Mapping):
        ends = {f"{INSTANCE_NOISE}.{name}": number[name] for name in ("value", "start", "stop") if name in number}
    for path, value in ends.items():
        if not 0.0 <= value < math.inf:
            raise UserError(f"{path}: got {value}, accepted is 0 or more and finite")


def _noisy(key: Key, image: Any, deviation: Array | float) -> Any:
    leaves, structure = jax.tree.flatten(image)
    keys = jax.random.split(key, len(leaves))
    noisy = [leaf + deviation * jax.random.normal(k, leaf.shape, leaf.dtype) for k, leaf in zip(keys, leaves)]
    return jax.tree.unflatten(structure, noisy)
