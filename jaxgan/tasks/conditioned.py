"""The product of a trained restorer: images from conditions, whole clips at once or frame by frame."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from jaxgan.fields import Field
from jaxgan.game import GENERATOR, Array, Asked, Degradation, Made, Memory, Network, Product, Weights


def restoring(generator: Any, degradation: Degradation | None = None) -> Product:
    """The product of a network that makes images from conditions, or fills in the pixels under a mask.

    A network of clips restores films frame by frame, with a memory, if it has a `step`; else it requires whole clips.
    `degradation`: what makes conditions from images; None: unknown.
    """
    masks = degradation is not None and degradation.masks
    of_clips = getattr(generator, "clips", False)
    carries = of_clips and hasattr(generator, "step")

    def restore(weights: Weights, asked: Asked, memory: Memory) -> tuple[Made, Memory]:
        return {"image": applied(generator, weights, _joined(asked, masks), masks=masks)}, memory

    clip = (None,) if of_clips and not carries else ()
    pixels, mask = Field((*clip, None, None, None), kind="pixels"), Field((*clip, None, None, 1), kind="mask")
    begin, advance = _remembering(generator, masks) if carries else (None, restore)
    return Product(
        asks={"condition": pixels, **({"mask": mask} if masks else {})},
        gives={"image": pixels},
        networks=(GENERATOR,),
        forward=advance,
        begin=begin,
        degradation=degradation,
        scale=getattr(generator, "scale", 1),
        receptive_field=getattr(generator, "receptive_field", None),
        multiple=getattr(generator, "multiple", 1),
        features_scale=getattr(generator, "features_scale", None),
        delay=generator.delay if carries else 0,
    )


def _remembering(generator: Any, masks: bool) -> tuple[Callable[..., Memory], Callable[..., tuple[Made, Memory]]]:
    """`begin` and `advance` of a film, for a network with a memory.

    With masks, the memory also holds the conditions of the delayed images, whose known pixels are put back.
    """
    waiting = generator.delay if masks else 0

    def begin(weights: Weights, asked: Asked) -> Memory:
        del weights
        condition = _joined(asked, masks)
        return generator.start(condition), jnp.repeat(condition[:, None], waiting, axis=1)

    def advance(weights: Weights, asked: Asked, memory: Memory) -> tuple[Made, Memory]:
        condition, (memory, late) = _joined(asked, masks), memory
        tree = {"params": weights.params[GENERATOR], **weights.variables[GENERATOR]}
        image, memory = generator.apply(tree, condition, memory, train=False, method="step")
        late = jnp.concatenate([late, condition[:, None]], axis=1)
        image = kept(image, late[:, 0]) if masks else image
        return {"image": image.astype(jnp.float32)}, (memory, late[:, 1:])

    return begin, advance


def _joined(asked: Asked, masks: bool) -> Array:
    """The networks' input: the condition, grey under the mask, with the mask as its last channel."""
    condition: Array = asked["condition"]
    if not masks:
        return condition
    return jnp.concatenate([condition * (1 - asked["mask"]), asked["mask"]], axis=-1)


def applied(generator: Network, weights: Weights, condition: Array, *, masks: bool) -> Array:
    """The generator's images, float32, without randomness."""
    tree = {"params": weights.params[GENERATOR], **weights.variables[GENERATOR]}
    image = generator.apply(tree, condition, None, train=False)
    return (kept(image, condition) if masks else image).astype(jnp.float32)


def kept(image: Array, condition: Array) -> Array:
    """The image with the known pixels of its condition put back; the condition's last channel is the mask."""
    known, mask = condition[..., :-1], condition[..., -1:]
    return mask * image + (1 - mask) * known
