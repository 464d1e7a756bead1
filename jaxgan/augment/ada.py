"""Adaptive discriminator augmentation (Karras et al. 2020a, "Training GANs with limited data")."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxgan.augment import corruption
from jaxgan.config.checking import unknown_key
from jaxgan.config.domains import Count, Given, NotNegative, Share, ShareNumber, Sign
from jaxgan.config.run import ADVERSARY
from jaxgan.errors import UserError
from jaxgan.images import colour, geometry
from jaxgan.images.draws import Draw, draw
from jaxgan.layers.collective import pmean
from jaxgan.layers.frames import alike
from jaxgan.schedules import at, make_schedule

Images = Float[Array, "b h w c"]
Pixels = Float[Array, "b *t h w c"]  # images, or clips whose frames all share one random draw

GROUPS = {
    "blit": ("xflip", "rotate90", "xint"),
    "geom": ("scale", "rotate", "aniso", "xfrac"),
    "color": ("brightness", "contrast", "lumaflip", "hue", "saturation"),
    "filter": ("imgfilter",),
    "noise": ("noise",),
    "cutout": ("cutout",),
}
PRESETS = {name: (name,) for name in GROUPS} | {
    "none": (),
    "bg": ("blit", "geom"),
    "bgc": ("blit", "geom", "color"),
    "bgcf": ("blit", "geom", "color", "filter"),
    "bgcfn": ("blit", "geom", "color", "filter", "noise"),
    "bgcfnc": tuple(GROUPS),
}
Preset = Literal["none", "blit", "geom", "color", "filter", "noise", "cutout", "bg", "bgc", "bgcf", "bgcfn", "bgcfnc"]

STRENGTHS = {  # the paper's, of appendix B
    "xflip": 1.0,  # share of the flips and turns
    "rotate90": 1.0,
    "xint": 0.125,  # largest whole shift, of a side
    "scale": 0.2,  # standard deviation of log2 of the size
    "rotate": 1.0,  # largest angle, of pi
    "aniso": 0.2,  # standard deviation of log2 of the stretch
    "xfrac": 0.125,  # standard deviation of the shift, of a side
    "brightness": 0.2,  # standard deviation of the offset
    "contrast": 0.5,  # standard deviation of log2 of the factor
    "lumaflip": 1.0,  # share of the flips
    "hue": 1.0,  # largest angle, of pi
    "saturation": 1.0,  # standard deviation of log2 of the factor
    "imgfilter": 1.0,  # standard deviation of log2 of a band's factor
    "noise": 0.1,  # scale of the noise's standard deviation
    "cutout": 0.5,  # side of the square, of a side
}


@dataclasses.dataclass(frozen=True)
class ADA:
    """The pipeline and the controller of its probability p.

    Every transform of the preset is applied to each image with probability p times its chance; p = 0 is the
    identity, bit for bit. Blits and geometry are one resampling by cubic convolution. The original resamples an
    image upsampled twofold with long wavelet filters instead; cubic convolution needs no margin, costs 16 reads
    a pixel and keeps turns by right angles and whole shifts exact.

    p adapts until the mean sign of the reals' logits is `target` (eq. 1), or follows `schedule`, a number or a
    schedule over images. R3GAN's pipeline is `chances={"brightness": 0.5, "contrast": 0.5, "lumaflip": 0.5,
    "hue": 0.5, "saturation": 0.5, "cutout": 1.0}` with a `schedule`.
    """

    preset: Preset = "bgc"
    chances: Mapping[str, Share] = dataclasses.field(default_factory=dict)  # of transforms, times p; over the preset's
    strengths: Mapping[str, NotNegative] = dataclasses.field(default_factory=dict)  # of transforms; see STRENGTHS
    target: Sign = 0.6  # of the mean sign of the reals' logits
    interval: Count = 4  # steps between two moves of p
    images_to_one: Count = 500_000  # images over which p would go from 0 to 1
    schedule: ShareNumber | None = None  # p over images; None: adaptive
    path: Given[str] = f"{ADVERSARY}.augment"  # its section, for errors

    def __post_init__(self) -> None:
        """Raises UserError for unknown names and for numbers out of range."""
        path = self.path
        if self.preset not in PRESETS:
            raise UserError(f"{path}.preset: got {self.preset!r}, expected one of {', '.join(PRESETS)}")
        for field, most in (("chances", 1.0), ("strengths", float("inf"))):
            for name, value in getattr(self, field).items():
                if name not in STRENGTHS:
                    raise unknown_key(f"{path}.{field}", name, STRENGTHS)
                if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value <= most:
                    limit = "" if most > 1.0 else " and at most 1"
                    raise UserError(f"{path}.{field}.{name}: got {value!r}, expected a number of at least 0{limit}")
        for name in ("interval", "images_to_one"):
            if getattr(self, name) < 1:
                raise UserError(f"{path}.{name}: got {getattr(self, name)}, expected 1 or more")
        if self.schedule is not None:
            make_schedule(self.schedule, f"{path}.schedule")

    def init_memory(self) -> dict[str, Array]:
        """p, and the images since its last move with the sum of the signs of their logits."""
        if self.schedule is not None:
            return {}
        return {name: jnp.float32(0.0) for name in ("probability", "signs", "images")}

    def probability(self, memory: Mapping[str, Array], images_seen: Any) -> Array:
        """p, a scalar."""
        if self.schedule is None:
            return memory["probability"]
        return jnp.asarray(at(self.schedule, images_seen, f"{self.path}.schedule"), jnp.float32)

    def update(
        self, memory: Mapping[str, Array], real_logits: Float[Array, " b"], *, batch_size: int, step: Any
    ) -> dict[str, Array]:
        """The memory after a step on `batch_size` reals across all devices, with these logits."""
        if self.schedule is not None:
            return {}
        signs = memory["signs"] + batch_size * pmean(jnp.sign(real_logits.astype(jnp.float32)).mean())
        images = memory["images"] + batch_size
        move = jnp.sign(signs / images - self.target) * images / self.images_to_one
        moved = jnp.clip(memory["probability"] + move, 0.0, 1.0)
        due = (step + 1) % self.interval == 0
        return {
            "probability": jnp.where(due, moved, memory["probability"]),
            "signs": jnp.where(due, 0.0, signs),
            "images": jnp.where(due, 0.0, images),
        }

    def __call__(self, key: Array, images: Pixels, probability: Any, *, moving_key: Array | None = None) -> Pixels:
        """Augment images `[B,H,W,C]` in about [-1, 1]; returns float32, not clipped. UserError unless H = W.

        With a `moving_key`, blits and geometry use that key, so that `moved` with the same key moves other arrays
        identically; all other transforms are drawn from `key` as usual. All frames of a clip `[B,T,H,W,C]` are
        augmented identically, including the noise.
        """
        return alike(lambda images: self._augmented(key, images, probability, moving_key), images)

    def _augmented(self, key: Array, images: Images, probability: Any, moving_key: Array | None) -> Images:
        size = _side(images, self.path)
        key, noise_key = jax.random.split(key)
        images = images.astype(jnp.float32)
        chances = self._probabilities(probability)
        if not chances:
            return images
        draws, strengths = draw(key, chances, images.shape[0]), self._strengths()
        if moving_key is not None:
            draws |= _moves(moving_key, chances, images.shape[0])
        maps = geometry.compose(draws, strengths, size)
        if maps is not None:
            images = geometry.warp(images, maps)
        images = _recoloured(draws, strengths, images)
        if "imgfilter" in draws:
            bands = [draws["imgfilter" if band == 0 else f"imgfilter_{band}"] for band in range(corruption.BANDS)]
            images = corruption.filtered(bands, strengths["imgfilter"], images)
        if "noise" in draws:
            images = corruption.noisy(draws["noise"], strengths["noise"], noise_key, images)
        if "cutout" in draws:
            images = corruption.cut_out(draws["cutout"], strengths["cutout"], images)
        return images

    def moved(self, key: Array, images: Pixels, probability: Any) -> Pixels:
        """Apply only blits and geometry to images or clips, such as masks: no colour, filter, noise or cutout."""
        size, images = _side(images, self.path), images.astype(jnp.float32)
        draws = _moves(key, self._probabilities(probability), images.shape[0])
        maps = geometry.compose(draws, self._strengths(), size)
        return images if maps is None else alike(lambda images: geometry.warp(images, maps), images)

    def _probabilities(self, probability: Any) -> dict[str, Any]:
        """The probability of each transform; those with a chance of 0 are left out."""
        wanted = [name for group in PRESETS[self.preset] for name in GROUPS[group]]
        chances = {**dict.fromkeys(wanted, 1.0), **self.chances}
        drawn = {name: chance * jnp.clip(probability, 0.0, 1.0) for name, chance in chances.items() if chance}
        if "rotate" in drawn:  # before and after the stretch; at least one of the two is applied with probability p
            drawn["rotate"] = drawn["rotate_again"] = 1.0 - jnp.sqrt(1.0 - drawn["rotate"])
        if "imgfilter" in drawn:  # each band by itself
            drawn |= {f"imgfilter_{band}": drawn["imgfilter"] for band in range(1, corruption.BANDS)}
        return drawn

    def _strengths(self) -> dict[str, float]:
        strengths = {**STRENGTHS, **self.strengths}
        return {**strengths, "rotate_again": strengths["rotate"]}


def _side(images: Pixels, path: str) -> int:
    height, width = images.shape[-3:-1]
    if height != width:
        raise UserError(f"{path}: got images of {height}x{width}, expected square images")
    return height


def _moves(key: Array, chances: Mapping[str, Any], batch: int) -> dict[str, Draw]:
    """Draws of the transforms that move pixels."""
    moving = {name: chance for name, chance in chances.items() if name in geometry.TRANSFORMS}
    return draw(key, moving, batch) if moving else {}


def _recoloured(draws: dict[str, Draw], strengths: dict[str, float], images: Images) -> Images:
    batch, _, _, channels = images.shape
    matrices = colour.compose(draws, strengths, channels)
    if matrices is None and "brightness" not in draws:
        return images
    offsets = jnp.zeros(batch)
    if "brightness" in draws:
        offsets = colour.brightness(draws["brightness"], strengths["brightness"])
    if matrices is None:
        return images + offsets[:, None, None, None]
    return colour.recolour(images, matrices, offsets)
