"""Degradations for clips, and noise with its level as a channel; see `jaxgan.augment.degradations`."""

from __future__ import annotations

import dataclasses
import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxgan.augment.degradations import GaussianNoise, Images, Span
from jaxgan.augment.masks import MOVABLE, WIDTHS, Kind, moving_masks, random_masks
from jaxgan.config.domains import NotNegative, Share, Whole
from jaxgan.errors import UserError
from jaxgan.images.draws import uniform_in, whole_in

PATH = "config.task.degradation"
HALF = 127.5  # grey levels of 255 in the range of pixels from 0 to 1
WORST = 51  # CRF of x264


@dataclasses.dataclass(frozen=True)
class MappedNoise(GaussianNoise):
    """Gaussian noise, and its standard deviation as one more channel, for pixels in [-1, 1].

    As in Zhang et al. 2018 ("FFDNet"), section III-B. Random numbers are drawn as in `GaussianNoise`.
    """

    strength: NotNegative | Span = (5.0, 55.0)  # of Tassano et al. 2020 ("FastDVDnet"), section 4.1

    @property
    def label(self) -> str:
        """Such as gaussian_5-55_mapped."""
        return f"{super().label}_mapped"

    @property
    def unmapped(self) -> GaussianNoise:
        """The same noise without the channel of its level."""
        return GaussianNoise(self.strength, self.grey)

    def __call__(self, key: Array, image: Images) -> Float[Array, "b *t h w c2"]:
        """The noisy images with one more channel."""
        noisy = super().__call__(key, image)
        bounds = self.strength if isinstance(self.strength, tuple) else (self.strength, self.strength)
        strength = uniform_in(jax.random.split(key, 3)[0], len(image), bounds) / HALF
        level = jnp.broadcast_to(strength.reshape(-1, *(1,) * (image.ndim - 1)), (*image.shape[:-1], 1))
        return jnp.concatenate([noisy, level], axis=-1)


@dataclasses.dataclass(frozen=True)
class ClipMasks:
    """Hides parts of clips like `degradations.Masks`, with masks that stand still or move.

    `moving` is the share of the clips whose masks move (see `jaxgan.augment.masks.moving_masks`). An image gets the
    mask of a first frame.
    """

    kind: Kind = "strokes"
    moving: Share = 1.0
    width: tuple[Share, Share] = WIDTHS  # of strokes, of the shorter side

    scale = 1
    masks = True

    def __post_init__(self) -> None:
        """Raises UserError for kinds that do not move, and for impossible widths."""
        if self.moving and self.kind not in MOVABLE:
            raise UserError(f"{PATH}.kind: got {self.kind!r}, expected one of {', '.join(MOVABLE)} where masks move")
        if self.width[0] > self.width[1]:
            raise UserError(f"{PATH}.width: got {self.width!r}, expected the smaller width first")

    @property
    def label(self) -> str:
        """Such as moving_strokes, standing_boxes or strokes_moving0.5."""
        kind = "mixed_masks" if self.kind == "mixed" else self.kind
        whole = {0.0: f"standing_{kind}", 1.0: f"moving_{kind}"}
        name = whole.get(self.moving, f"{kind}_moving{self.moving:g}")
        return name if self.width == WIDTHS else f"{name}_{self.width[0]:g}-{self.width[1]:g}"

    def describe(self) -> str:
        """A description for users."""
        kind = "strokes, boxes, half, borders" if self.kind == "mixed" else self.kind
        share = "that stand" if not self.moving else "that move" if self.moving == 1 else "that stand or move"
        return f"films with holes ({kind}) {share}, to fill in"

    def __call__(self, key: Array, image: Images) -> Float[Array, "b *t h w c2"]:
        """The image, grey under the mask, and the mask as one more channel, 1 where it hides."""
        batch, frames, (height, width) = len(image), image.shape[1] if image.ndim == 5 else 1, image.shape[-3:-1]
        move_key, still_key, moving_key = jax.random.split(key, 3)
        moves = jax.random.bernoulli(move_key, self.moving, (batch, 1, 1, 1, 1))
        mask = jnp.zeros((batch, frames, height, width, 1))
        if self.moving < 1:
            mask += random_masks(still_key, batch, height, width, self.kind, widths=self.width)[:, None]
        if self.moving > 0:
            shape = (batch, frames, height, width)
            mask = jnp.where(moves, moving_masks(moving_key, *shape, self.kind, widths=self.width), mask)
        mask = mask.reshape(*image.shape[:-1], 1)
        return jnp.concatenate([image * (1 - mask), mask], axis=-1)


@dataclasses.dataclass(frozen=True)
class H264:
    """Clips encoded as H.264 and decoded again, on the host's CPU; use `degradations.Chain` to put it after others.

    `quality` is x264's constant rate factor: 18 is hard to distinguish from the original, 28 looks like web video, 51
    is the worst. An image is a clip of one frame. Requires the extra `[video]`. No gradient flows through it.
    """

    quality: Whole | tuple[Whole, Whole] = (18, 35)

    scale = 1
    masks = False

    def __post_init__(self) -> None:
        """Raises UserError for impossible qualities, and without PyAV."""
        low, high = self._bounds
        if not 0 <= low <= high <= WORST:
            got = f"{PATH}.quality: got {self.quality!r}"
            raise UserError(f"{got}, expected whole numbers from 0 to {WORST}, the lower first")
        if importlib.util.find_spec("av") is None:
            raise UserError(f"{PATH}: H264 needs the package av: pip install -e '.[video]'")

    @property
    def _bounds(self) -> tuple[int, int]:
        return self.quality if isinstance(self.quality, tuple) else (self.quality, self.quality)

    @property
    def label(self) -> str:
        """Such as h264_18-35."""
        low, high = self._bounds
        return f"h264_{low}" if low == high else f"h264_{low}-{high}"

    def describe(self) -> str:
        """A description for users."""
        return f"films compressed as H.264 with a CRF of {self.label.removeprefix('h264_')}"

    def __call__(self, key: Array, image: Images) -> Images:
        """Of the same shape; 1 or 3 channels."""
        clip = jax.lax.stop_gradient(image if image.ndim == 5 else image[:, None])
        quality = whole_in(key, len(clip), self._bounds)
        shape = jax.ShapeDtypeStruct(clip.shape, clip.dtype)
        return jax.pure_callback(_encoded, shape, clip, quality, vmap_method="sequential").reshape(image.shape)


def _encoded(clips: np.ndarray, qualities: np.ndarray) -> np.ndarray:
    """Clips `[b,t,h,w,c]` in [-1, 1] after x264, each with its own quality."""
    from jaxgan.media.films.compressing import compressed

    levels = np.rint(np.clip(np.asarray(clips) * HALF + HALF, 0, 2 * HALF)).astype(np.uint8)
    made = np.stack([compressed(clip, int(quality)) for clip, quality in zip(levels, qualities)])
    return (made / HALF - 1).astype(clips.dtype)
