"""Real-ESRGAN's pipeline of degradations (Wang et al. 2021), see `jaxgan.augment.degradations`."""

from __future__ import annotations

import dataclasses
import zlib
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxgan.augment.blur_kernels import convolve, random_kernels, random_sincs
from jaxgan.augment.degradations import (
    PATH,
    Conditions,
    Images,
    Qualities,
    Span,
    Widths,
    checked_range,
    eight_bits,
    reduced_sides,
)
from jaxgan.augment.noise import gaussian_noise, normals, poisson_noise
from jaxgan.augment.sharpening import sharpened
from jaxgan.config.domains import Count, Share
from jaxgan.errors import UserError
from jaxgan.images.draws import either, uniform_in, whole_in
from jaxgan.images.jpeg import jpeg
from jaxgan.images.resizing import Method, Patches, resize_each

METHODS: tuple[Method, ...] = ("area", "bilinear", "bicubic")
GAUSSIAN = 0.5  # share of Gaussian noise; the rest is Poisson noise
RESIZES = ((0.2, 0.7), (0.3, 0.4))  # shares of the images that are enlarged and reduced, by round


@dataclasses.dataclass(frozen=True)
class RealESRGAN:
    """Blur, resizing, noise and JPEG, twice, with a sinc filter at the end (Wang et al. 2021, "Real-ESRGAN").

    The defaults are the published ones. The authors' code also sharpens the image first (`sharpen`, see
    `jaxgan.augment.sharpening`), which the paper does not mention. A pair has one entry for each round. All steps are
    drawn for each image, so the original's queue, which mixes images whose steps were drawn for whole batches, is not
    needed. Resized images are placed on a canvas of the largest size and padded with their outermost pixels.
    """

    scale: Count = 4
    blur: tuple[Widths, Widths] = ((0.2, 3.0), (0.2, 1.5))  # standard deviations, pixels
    resize: tuple[Widths, Widths] = ((0.15, 1.5), (0.3, 1.2))  # factors of the image's, of the condition's size
    noise: tuple[Span, Span] = ((1.0, 30.0), (1.0, 25.0))  # Gaussian, grey levels of 255
    poisson: tuple[Span, Span] = ((0.05, 3.0), (0.05, 2.5))  # as the amount of `Poisson`
    quality: tuple[Qualities, Qualities] = ((30, 95), (30, 95))  # of the JPEG
    grey: Share = 0.4  # share of the images whose noise is the same in all channels
    second_blur: Share = 0.8  # share of the images that are blurred in the second round
    last_sinc: Share = 0.8  # share of the images that go through the last filter
    sharpen: bool = False  # degrade the sharpened image, as when the losses' targets are sharpened

    masks = False

    def __post_init__(self) -> None:
        """Raises UserError for numbers out of range."""
        if self.scale < 1:
            raise UserError(f"{PATH}.scale: got {self.scale}, expected 1 or more")
        for name in ("grey", "second_blur", "last_sinc"):
            checked_range(name, getattr(self, name), 1.0)
        for index in (0, 1):
            for name in ("blur", "resize", "noise", "poisson"):
                checked_range(f"{name}.{index}", getattr(self, name)[index])
            checked_range(f"quality.{index}", self.quality[index], 100, least=1)
            if self.blur[index][0] == 0.0:
                raise UserError(f"{PATH}.blur.{index}: got {self.blur[index]}, expected widths above 0")
            if not 0.0 < self.resize[index][0] <= 1.0 <= self.resize[index][1]:
                raise UserError(f"{PATH}.resize.{index}: got {self.resize[index]}, expected ranges around 1")

    @property
    def _changed(self) -> dict[str, Any]:
        """The arguments, other than the scale, that differ from the published ones."""
        fields = [field for field in dataclasses.fields(self) if field.name != "scale"]
        return {field.name: value for field in fields if (value := getattr(self, field.name)) != field.default}

    @property
    def label(self) -> str:
        """Such as realesrgan_x4; other constants add a suffix of four digits that identifies them."""
        digits = f"_{zlib.crc32(repr(self._changed).encode()) & 0xFFFF:04x}" if self._changed else ""
        return f"realesrgan_x{self.scale}{digits}"

    def describe(self) -> str:
        """A description for users."""
        changed = "".join(f", {name} {value}" for name, value in self._changed.items())
        size = "of the same size" if self.scale == 1 else f"reduced {self.scale} times along each side"
        return f"images {size}, with two rounds of blur, resizing, noise and JPEG as in Real-ESRGAN{changed}"

    def __call__(self, key: Array, image: Images) -> Conditions:
        """`[B,H/scale,W/scale,C]`, in 8 bits; 1 or 3 channels. UserError if the scale does not divide the sides."""
        if image.ndim == 4:
            return self._degraded(key, image)
        each = jax.vmap(partial(self._degraded, key), in_axes=(1, 0), out_axes=1)
        return each(image, jnp.arange(image.shape[1]))

    def _degraded(self, key: Array, image: Images, frame: Array | None = None) -> Conditions:
        """Degrade one frame; only the noise depends on the frame's number."""
        first_key, jpeg_key, second_key, last_key = jax.random.split(key, 4)
        batch, height, width = image.shape[:3]
        image = sharpened(image) if self.sharpen else image
        reduced = reduced_sides(image, self.scale)
        patches = Patches(image, jnp.full(batch, height), jnp.full(batch, width))
        patches = self._round(first_key, 0, patches, (height, width), frame)
        compressed = jpeg(patches.canvas, whole_in(jpeg_key, batch, self.quality[0]))
        patches = self._round(second_key, 1, patches._replace(canvas=compressed), reduced, frame)
        return eight_bits(self._finished(last_key, patches, reduced))

    def _round(self, key: Array, index: int, patches: Patches, sides: tuple[int, int], frame: Array | None) -> Patches:
        """Blurred, resized to about these sides, and with noise."""
        kernel_key, blur_key, factor_key, method_key, noise_key = jax.random.split(key, 5)
        batch = patches.canvas.shape[0]
        blurred = convolve(patches.canvas, random_kernels(kernel_key, batch, self.blur[index]))
        if index == 1:
            blurred = either(blur_key, self.second_blur, blurred, patches.canvas)
        canvas = tuple(int(side * self.resize[index][1]) for side in sides)
        factor = self._factors(factor_key, batch, index)
        height, width = (
            jnp.clip(jnp.floor(side * factor).astype(jnp.int32), 1, most) for side, most in zip(sides, canvas)
        )
        choice = jax.random.randint(method_key, (batch,), 0, len(METHODS))
        resized = resize_each(
            patches._replace(canvas=blurred),
            height,
            width,
            canvas=(canvas[0], canvas[1]),
            methods=METHODS,
            choice=choice,
        )
        return resized._replace(canvas=self._noisy(noise_key, index, resized.canvas, frame))

    def _factors(self, key: Array, batch: int, index: int) -> Float[Array, " b"]:
        """Factors of the sizes: above 1, below 1 or 1, with the probabilities of `RESIZES`."""
        kind, place = jax.random.uniform(key, (2, batch))
        (low, high), (up, down) = self.resize[index], RESIZES[index]
        enlarged, reduced = 1.0 + place * (high - 1.0), low + place * (1.0 - low)
        return jnp.select([kind < up, kind < up + down], [enlarged, reduced], jnp.ones(batch))

    def _noisy(self, key: Array, index: int, image: Images, frame: Array | None) -> Images:
        """With Gaussian or Poisson noise, clipped."""
        grey_key, number_key, strength_key, amount_key, kind_key = jax.random.split(key, 5)
        batch = image.shape[0]
        grey = jax.random.bernoulli(grey_key, self.grey, (batch,))
        number_key = number_key if frame is None else jax.random.fold_in(number_key, frame)
        numbers = normals(number_key, image.shape, grey)  # the same for both kinds: an image gets only one
        gaussian = gaussian_noise(numbers, uniform_in(strength_key, batch, self.noise[index]))
        poisson = poisson_noise(numbers, image, uniform_in(amount_key, batch, self.poisson[index]), grey)
        return jnp.clip(image + either(kind_key, GAUSSIAN, gaussian, poisson), -1.0, 1.0)

    def _finished(self, key: Array, patches: Patches, sides: tuple[int, int]) -> Images:
        """Images of the condition's size: resized and filtered before or after the second JPEG."""
        order_key, quality_key, method_key, kernel_key, sinc_key = jax.random.split(key, 5)
        batch = patches.canvas.shape[0]
        quality = whole_in(quality_key, batch, self.quality[1])
        early = either(order_key, 0.5, jpeg(patches.canvas, quality), patches.canvas)
        height, width = (jnp.full(batch, side) for side in sides)
        choice = jax.random.randint(method_key, (batch,), 0, len(METHODS))
        patches = patches._replace(canvas=early)
        image = resize_each(patches, height, width, canvas=sides, methods=METHODS, choice=choice).canvas
        image = either(sinc_key, self.last_sinc, convolve(image, random_sincs(kernel_key, batch)), image)
        return either(order_key, 0.5, image, jpeg(image, quality))
