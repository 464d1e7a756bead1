"""What the discriminator sees of the images of a turn: the reals and the fakes, each with draws of its own.

One draw for both would tie the judgement of a fake to that of the real of its row by more than what they show.
DiffAugment (Zhao et al. 2020, section 3.2) and ADA (Karras et al. 2020a, section 2) draw for every image anew, and
so does R3GAN (Huang et al. 2024), whose R1 and R2 are taken through the draws of the loss.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax

from jaxgan.errors import UserError
from jaxgan.game import Array, Key

See = Callable[[Any], Any]  # an image [B,H,W,C], or all its scales -> the same as the discriminator sees it

REALS, FAKES = 2, 3  # what a turn's key is folded with


class Sight(NamedTuple):
    """What a turn makes of its reals and of its fakes; the same images are the same twice."""

    reals: See
    fakes: See


def sight(key: Key, augment: Any, memory: Mapping[str, Array], images_seen: Array) -> Sight:
    """Of the turn that has this key. `augment`: see `jaxgan.augment`, with what it remembers; None: none."""
    if augment is None:
        return Sight(_unchanged, _unchanged)
    probability = augment.probability(memory, images_seen)

    def seen(draw: int) -> See:
        def augmented(image: Any) -> Any:
            if isinstance(image, tuple):
                raise UserError("config.task.augment: images of several scales cannot be augmented; accepted is none")
            return augment(jax.random.fold_in(key, draw), image, probability)

        return augmented

    return Sight(seen(REALS), seen(FAKES))


def _unchanged(image: Any) -> Any:
    return image
