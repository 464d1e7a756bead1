"""Degradations: pure functions of a key and images, run on the device, whose results networks learn to restore.

Each implements `Degradation` of `jaxgan.game`: it maps images `[B,H,W,C]` in [-1, 1] to conditions
`[B,H/scale,W/scale,C']`, and clips `[B,T,H,W,C]` likewise. Random numbers are drawn for each image; all frames of a
clip share them, except for the noise, which is drawn for each frame. Strengths of noise are in grey levels of 255. A
pair of numbers is a range from which a value is drawn for each image.
"""

from __future__ import annotations

import dataclasses
import math
import zlib
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxgan.augment.blur_kernels import SHARES, convolve, random_kernels, random_sincs
from jaxgan.augment.masks import WIDTHS, Kind, random_masks
from jaxgan.augment.noise import gaussian_noise, normals, poisson_noise
from jaxgan.augment.sharpening import sharpened
from jaxgan.config.domains import Count, NotNegative, Positive, Quality, Several, Share
from jaxgan.errors import UserError
from jaxgan.game import Degradation
from jaxgan.images.colour import LUMA
from jaxgan.images.draws import alike, either, uniform_in, whole_in
from jaxgan.images.jpeg import jpeg, round_straight
from jaxgan.images.resizing import Method, Patches, resize, resize_each

Span = tuple[NotNegative, NotNegative]
Widths = tuple[Positive, Positive]
Qualities = tuple[Quality, Quality]
Images = Float[Array, "b h w c"]
Conditions = Float[Array, "b h2 w2 c2"]
Range = float | tuple[float, float]
Interval = tuple[float, float]

PATH = "config.task.degradation"
KEPT: tuple[Method, ...] = ("area", "bilinear", "bicubic")  # Real-ESRGAN's ways to resize
EDGE = 4.0  # brightness of an edge by its slope
GAUSSIAN = 0.5  # share of Gaussian noise in Real-ESRGAN; the rest is Poisson noise
RESIZES = ((0.2, 0.7), (0.3, 0.4))  # shares of Real-ESRGAN's images that are enlarged and reduced, by round


@dataclasses.dataclass(frozen=True)
class Identity:
    """Returns images unchanged."""

    scale = 1
    masks = False
    label = "identity"

    def describe(self) -> str:
        """A description for users."""
        return "images as they are"

    def __call__(self, key: Array, image: Images) -> Images:
        """The image."""
        del key
        return image


@dataclasses.dataclass(frozen=True)
class Bicubic:
    """Reduced by a whole number with antialiased cubic convolution, as in Pillow, and rounded to 8 bits."""

    scale: Several

    masks = False

    def __post_init__(self) -> None:
        """Raises UserError for a scale below 2."""
        if self.scale < 2:
            raise UserError(f"{PATH}.scale: got {self.scale}, expected 2 or more")

    @property
    def label(self) -> str:
        """Such as bicubic_x2."""
        return f"bicubic_x{self.scale}"

    def describe(self) -> str:
        """A description for users."""
        return f"images reduced {self.scale} times along each side, by antialiased bicubic resizing"

    def __call__(self, key: Array, image: Images) -> Conditions:
        """`[B,H/scale,W/scale,C]`; UserError if the scale does not divide the sides."""
        del key
        return alike(lambda image: _eight_bits(resize(image, *_reduced(image, self.scale), clip=True)), image)


@dataclasses.dataclass(frozen=True)
class Blur:
    """Convolved with a random kernel of the kinds of Real-ESRGAN (see `jaxgan.augment.blur_kernels`)."""

    sigma: Positive | Widths = (0.2, 3.0)  # pixels
    kinds: tuple[str, ...] = tuple(SHARES)

    scale = 1
    masks = False

    def __post_init__(self) -> None:
        """Raises UserError for unknown kinds and for widths out of range."""
        if _bounds("sigma", self.sigma)[0] == 0.0:
            raise UserError(f"{PATH}.sigma: got {self.sigma!r}, expected widths above 0")
        if not self.kinds or set(self.kinds) - set(SHARES):
            raise UserError(f"{PATH}.kinds: got {self.kinds!r}, expected any of {', '.join(SHARES)}")

    @property
    def label(self) -> str:
        """Such as blur_0.2-3, or blur_isotropic_2."""
        kinds = () if set(self.kinds) == set(SHARES) else sorted(self.kinds)
        return "_".join(("blur", *kinds, _span(self.sigma)))

    def describe(self) -> str:
        """A description for users."""
        return f"images blurred by kernels ({', '.join(self.kinds)}) of {_span(self.sigma)} pixels"

    def __call__(self, key: Array, image: Images) -> Images:
        """Of the same shape."""
        shares = {kind: SHARES[kind] for kind in self.kinds}
        kernels = random_kernels(key, image.shape[0], _bounds("sigma", self.sigma), shares)
        return alike(lambda image: convolve(image, kernels), image)


@dataclasses.dataclass(frozen=True)
class GaussianNoise:
    """Adds white noise, neither clipped nor rounded, which is how denoisers are compared."""

    strength: NotNegative | Span = 25.0  # standard deviation, in grey levels of 255
    grey: Share = 0.0  # share of the images whose noise is the same in all channels

    scale = 1
    masks = False

    def __post_init__(self) -> None:
        """Raises UserError for impossible strengths and shares."""
        _bounds("strength", self.strength)
        _bounds("grey", self.grey, 1.0)

    @property
    def label(self) -> str:
        """Such as gaussian_25, or gaussian_0-50_grey."""
        return f"gaussian_{_span(self.strength)}{_grey_label(self.grey)}"

    def describe(self) -> str:
        """A description for users."""
        return f"images with {_grey_words(self.grey)}Gaussian noise of {_span(self.strength)} grey levels of 255"

    def __call__(self, key: Array, image: Images) -> Images:
        """Of the same shape."""
        strength_key, grey_key, key = jax.random.split(key, 3)
        strength = uniform_in(strength_key, image.shape[0], _bounds("strength", self.strength))
        grey = jax.random.bernoulli(grey_key, self.grey, (image.shape[0],))
        return image + gaussian_noise(normals(key, image.shape, grey), strength)


@dataclasses.dataclass(frozen=True)
class Poisson:
    """Adds the noise of counting up to 256 photons, times a factor; neither clipped nor rounded."""

    amount: NotNegative | Span = 1.0  # 1: a pixel of brightness x in [0, 1] has a standard deviation of sqrt(x / 256)
    grey: Share = 0.0  # share of the images with the noise of the luminance in all channels

    scale = 1
    masks = False

    def __post_init__(self) -> None:
        """Raises UserError for impossible amounts and shares."""
        _bounds("amount", self.amount)
        _bounds("grey", self.grey, 1.0)

    @property
    def label(self) -> str:
        """Such as poisson_1."""
        return f"poisson_{_span(self.amount)}{_grey_label(self.grey)}"

    def describe(self) -> str:
        """A description for users."""
        return f"images with {_grey_words(self.grey)}Poisson noise of 256 levels times {_span(self.amount)}"

    def __call__(self, key: Array, image: Images) -> Images:
        """Of the same shape."""
        amount_key, grey_key, key = jax.random.split(key, 3)
        amount = uniform_in(amount_key, image.shape[0], _bounds("amount", self.amount))
        grey = jax.random.bernoulli(grey_key, self.grey, (image.shape[0],))
        return image + poisson_noise(normals(key, image.shape, grey), image, amount, grey)


@dataclasses.dataclass(frozen=True)
class Jpeg:
    """Saved as a JPEG and read again; see `jaxgan.images.jpeg`."""

    quality: Quality | Qualities = (30, 95)  # 1 to 100
    subsampling: bool = True  # colour at half the resolution, the default of most programs

    scale = 1
    masks = False

    def __post_init__(self) -> None:
        """Raises UserError for impossible qualities."""
        _bounds("quality", self.quality, 100, least=1)

    @property
    def label(self) -> str:
        """Such as jpeg_30-95."""
        return f"jpeg_{_span(self.quality)}{'' if self.subsampling else '_444'}"

    def describe(self) -> str:
        """A description for users."""
        colour = "at half the resolution" if self.subsampling else "at full resolution"
        return f"images saved as JPEG of quality {_span(self.quality)}, colour {colour}"

    def __call__(self, key: Array, image: Images) -> Images:
        """Of the same shape; 1 or 3 channels."""
        quality = whole_in(key, image.shape[0], _bounds("quality", self.quality, 100, least=1))
        return alike(lambda image: jpeg(image, quality, subsampling=self.subsampling), image)


@dataclasses.dataclass(frozen=True)
class Masks:
    """Hides parts: returns the image, grey under the mask, and the mask as one more channel, 1 where pixels are hidden.

    See `jaxgan.augment.masks` for the kinds and the lengths.
    """

    kind: Kind = "strokes"
    width: tuple[Share, Share] = WIDTHS  # of strokes, of the shorter side
    side: Count | None = None  # pixels of the tiles that are masked separately; None: the whole image

    scale = 1
    masks = True

    def __post_init__(self) -> None:
        """Raises UserError for impossible widths and sides."""
        _bounds("width", self.width, 1.0)
        if self.side is not None and self.side < 1:
            raise UserError(f"{PATH}.side: got {self.side}, expected 1 or more, or None")

    @property
    def label(self) -> str:
        """Such as strokes."""
        kind = "mixed_masks" if self.kind == "mixed" else self.kind
        size = "" if self.side is None else f"_of_{self.side}"
        return kind + size + ("" if self.width == WIDTHS else f"_{_span(self.width)}")

    def describe(self) -> str:
        """A description for users."""
        kind = "strokes, boxes, half, borders" if self.kind == "mixed" else self.kind
        return f"images with holes ({kind}{'' if self.side is None else f' of {self.side} pixels'}) to fill in"

    def __call__(self, key: Array, image: Images) -> Conditions:
        """`[B,H,W,C+1]`; all frames of a clip have the same mask."""
        batch, (height, width) = len(image), image.shape[-3:-1]
        side = self.side
        if side is None:
            mask = random_masks(key, batch, height, width, self.kind, widths=self.width)
        else:
            down, across = -(-height // side), -(-width // side)
            squares = random_masks(key, batch * down * across, side, side, self.kind, widths=self.width)
            rows = squares.reshape(batch, down, across, side, side, 1).swapaxes(2, 3)
            mask = rows.reshape(batch, down * side, across * side, 1)[:, :height, :width]
        return alike(lambda image: jnp.concatenate([image * (1.0 - mask), mask], axis=-1), image)


@dataclasses.dataclass(frozen=True)
class Edges:
    """Edges: the magnitude of the Sobel gradient of the luminance, one channel in [-1, 1], -1 where the image is flat.

    Borders are padded with the outermost pixels.
    """

    scale = 1
    masks = False
    label = "edges"

    def describe(self) -> str:
        """A description for users."""
        return "the edges of images"

    def __call__(self, key: Array, image: Images) -> Conditions:
        """`[B,H,W,1]`."""
        del key
        return alike(self._edges, image)

    def _edges(self, image: Images) -> Conditions:
        grey = image.mean(axis=-1) if image.shape[-1] != 3 else image @ jnp.array(LUMA)
        grey = jnp.pad(grey, ((0, 0), (1, 1), (1, 1)), mode="edge")
        across, down = grey[:, :, 2:] - grey[:, :, :-2], grey[:, 2:] - grey[:, :-2]
        across = (across[:, :-2] + 2 * across[:, 1:-1] + across[:, 2:]) / 8
        down = (down[:, :, :-2] + 2 * down[:, :, 1:-1] + down[:, :, 2:]) / 8
        length = jnp.sqrt(across**2 + down**2 + 1e-12)
        return jnp.clip(EDGE * length, 0.0, 1.0)[..., None] * 2.0 - 1.0


@dataclasses.dataclass(frozen=True)
class Chain:
    """Applies degradations one after the other; masks must come last."""

    parts: tuple[Degradation, ...]

    def __post_init__(self) -> None:
        """Raises UserError if there are no parts, or if any but the last masks."""
        if not self.parts or any(part.masks for part in self.parts[:-1]):
            got = ", ".join(part.label for part in self.parts) or "none"
            raise UserError(f"{PATH}.parts: got {got}, expected degradations, with masks only as the last one")

    @property
    def scale(self) -> int:
        """The product of the parts' scales."""
        return math.prod(part.scale for part in self.parts)

    @property
    def masks(self) -> bool:
        """Whether the last part hides something."""
        return self.parts[-1].masks

    @property
    def label(self) -> str:
        """The parts' labels."""
        return "+".join(part.label for part in self.parts)

    def describe(self) -> str:
        """A description for users."""
        return "; then ".join(part.describe() for part in self.parts)

    def __call__(self, key: Array, image: Images) -> Conditions:
        """The result of the last part."""
        for each, part in zip(jax.random.split(key, len(self.parts)), self.parts):
            image = part(each, image)
        return image


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
            _bounds(name, getattr(self, name), 1.0)
        for index in (0, 1):
            for name in ("blur", "resize", "noise", "poisson"):
                _bounds(f"{name}.{index}", getattr(self, name)[index])
            _bounds(f"quality.{index}", self.quality[index], 100, least=1)
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
        reduced = _reduced(image, self.scale)
        patches = Patches(image, jnp.full(batch, height), jnp.full(batch, width))
        patches = self._round(first_key, 0, patches, (height, width), frame)
        compressed = jpeg(patches.canvas, whole_in(jpeg_key, batch, self.quality[0]))
        patches = self._round(second_key, 1, patches._replace(canvas=compressed), reduced, frame)
        return _eight_bits(self._finished(last_key, patches, reduced))

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
        choice = jax.random.randint(method_key, (batch,), 0, len(KEPT))
        resized = resize_each(
            patches._replace(canvas=blurred),
            height,
            width,
            canvas=(canvas[0], canvas[1]),
            methods=KEPT,
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
        choice = jax.random.randint(method_key, (batch,), 0, len(KEPT))
        patches = patches._replace(canvas=early)
        image = resize_each(patches, height, width, canvas=sides, methods=KEPT, choice=choice).canvas
        image = either(sinc_key, self.last_sinc, convolve(image, random_sincs(kernel_key, batch)), image)
        return either(order_key, 0.5, image, jpeg(image, quality))


def _eight_bits(image: Images) -> Images:
    """Clipped to [-1, 1] and rounded to its 256 levels, with the derivative of clipping alone."""
    return round_straight(jnp.clip((image + 1.0) * 127.5, 0.0, 255.0)) / 127.5 - 1.0


def _reduced(image: Images, scale: int) -> tuple[int, int]:
    """Height and width divided by the scale. Raises UserError if there is a remainder."""
    height, width = image.shape[1:3]
    if height % scale or width % scale:
        raise UserError(f"{PATH}.scale: got {scale}, expected a divisor of the sides of the {height}x{width} images")
    return height // scale, width // scale


def _bounds(name: str, value: Range, most: float = math.inf, *, least: float = 0.0) -> Interval:
    """The two ends of a range. Raises UserError unless they are in order and between the limits."""
    low, high = value if isinstance(value, tuple) else (value, value)
    if not least <= low <= high <= most:
        limit = "on" if most == math.inf else f"to {most:g}"
        raise UserError(f"{PATH}.{name}: got {value!r}, expected numbers from {least:g} {limit}, the lower first")
    return low, high


def _span(value: Range) -> str:
    return "-".join(f"{each:.3g}" for each in (value if isinstance(value, tuple) else (value,)))


def _grey_label(share: float) -> str:
    return "" if share == 0 else "_grey" if share == 1 else f"_grey{share:g}"


def _grey_words(share: float) -> str:
    return "" if share == 0 else "grey " if share == 1 else f"(in {share:.0%} of them grey) "
