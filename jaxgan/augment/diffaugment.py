"""Differentiable augmentation (Zhao et al. 2020, "Differentiable augmentation for data-efficient GAN training")."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxgan.augment.corruption import cut_out
from jaxgan.config.domains import Given
from jaxgan.config.run import ADVERSARY
from jaxgan.errors import UserError
from jaxgan.images.draws import Draw, draw
from jaxgan.images.geometry import pick
from jaxgan.layers.frames import alike

Images = Float[Array, "b *t h w c"]  # images, or clips whose frames all share one random draw and one mean

TRANSLATION = 0.125  # largest shift, of a side
CUTOUT = 0.5  # side of the square, of a side


def _brightness(draw: Draw, images: Images) -> Images:
    return images + _by_row(draw.uniform[0] - 0.5, images)


def _saturation(draw: Draw, images: Images) -> Images:
    grey = images.mean(axis=-1, keepdims=True)
    return grey + _by_row(2.0 * draw.uniform[0], images) * (images - grey)


def _contrast(draw: Draw, images: Images) -> Images:
    mean = images.mean(axis=tuple(range(1, images.ndim)), keepdims=True)
    return mean + _by_row(0.5 + draw.uniform[0], images) * (images - mean)


def _translation(draw: Draw, images: Images) -> Images:
    """Shift by whole pixels; uncovered pixels become grey."""
    indices, inside = [], []
    for axis in (0, 1):
        size = images.shape[axis - 3]
        most = int(size * TRANSLATION + 0.5)
        move = jnp.floor(draw.uniform[axis] * (2 * most + 1)).astype(jnp.int32) - most
        index = jnp.arange(size) + move[:, None]
        indices.append(jnp.clip(index, 0, size - 1))
        inside.append((index >= 0) & (index < size))
    shown = inside[0][:, :, None] & inside[1][:, None, :]
    return alike(lambda images: jnp.where(shown[..., None], pick(images, *indices), 0.0), images)


def _cutout(draw: Draw, images: Images) -> Images:
    return alike(lambda images: cut_out(draw, CUTOUT, images), images)


def _by_row(numbers: Float[Array, " b"], images: Images) -> Array:
    return jnp.expand_dims(numbers, range(1, images.ndim))


POLICIES: dict[str, dict[str, Callable[[Draw, Images], Images]]] = {
    "color": {"brightness": _brightness, "saturation": _saturation, "contrast": _contrast},
    "translation": {"translation": _translation},
    "cutout": {"cutout": _cutout},
}


@dataclasses.dataclass(frozen=True)
class DiffAugment:
    """Colour, translation and cutout, applied to every image."""

    policy: tuple[str, ...] = ("color", "translation", "cutout")
    path: Given[str] = f"{ADVERSARY}.augment"  # its section, for errors

    def __post_init__(self) -> None:
        """Raises UserError for an unknown policy."""
        for name in self.policy:
            if name not in POLICIES:
                raise UserError(f"{self.path}.policy: got {name!r}, expected one of {', '.join(POLICIES)}")

    def init_memory(self) -> dict[str, Array]:
        """Nothing."""
        return {}

    def probability(self, memory: Mapping[str, Array], images_seen: Any) -> Array:
        """1."""
        del memory, images_seen
        return jnp.float32(1.0)

    def update(
        self, memory: Mapping[str, Array], real_logits: Float[Array, " b"], *, batch_size: int, step: Any
    ) -> dict[str, Array]:
        """Nothing."""
        del memory, real_logits, batch_size, step
        return {}

    def __call__(self, key: Array, images: Images, probability: Any, *, moving_key: Array | None = None) -> Images:
        """Augment images `[B,H,W,C]` in about [-1, 1]; returns float32, not clipped.

        Each transform is applied to each image with `probability`. Saturation is skipped for one channel. With a
        `moving_key`, translation uses that key, so that `moved` with the same key moves other arrays identically; all
        other transforms are drawn from `key` as usual. All frames of a clip `[B,T,H,W,C]` are augmented identically.
        """
        images = images.astype(jnp.float32)
        transforms = {name: each for policy in self.policy for name, each in POLICIES[policy].items()}
        if images.shape[-1] == 1:
            transforms.pop("saturation", None)
        if not transforms:
            return images
        draws = draw(key, dict.fromkeys(transforms, probability), images.shape[0])
        if moving_key is not None:
            draws |= self._moves(moving_key, images.shape[0], probability)
        for name, transform in transforms.items():
            images = draws[name].gated(transform(draws[name], images), images)
        return images

    def moved(self, key: Array, images: Images, probability: Any) -> Images:
        """Apply only the translation to images or clips, such as masks; uncovered pixels become 0."""
        images = images.astype(jnp.float32)
        for each in self._moves(key, images.shape[0], probability).values():
            images = each.gated(_translation(each, images), images)
        return images

    def _moves(self, key: Array, batch: int, probability: Any) -> dict[str, Draw]:
        return draw(key, {"translation": probability}, batch) if "translation" in self.policy else {}
