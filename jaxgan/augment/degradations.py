"""Degradations: pure functions of a key and images, run on the device, whose results networks learn to restore.

Each implements `Degradation` of `jaxgan.game`: it maps images `[B,H,W,C]` in [-1, 1] to conditions
`[B,H/scale,W/scale,C']`, and clips `[B,T,H,W,C]` likewise. Random numbers are drawn for each image; all frames of a
clip share them, except for the noise, which is drawn for each frame. Strengths of noise are in grey levels of 255. A
pair of numbers is a range from which a value is drawn for each image.
"""

from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxgan.augment.blur_kernels import SHARES, convolve, random_kernels
from jaxgan.augment.masks import WIDTHS, Kind, random_masks
from jaxgan.augment.noise import gaussian_noise, normals, poisson_noise
from jaxgan.config.domains import Count, NotNegative, Positive, Quality, Several, Share
from jaxgan.errors import UserError
from jaxgan.game import Degradation
from jaxgan.images.colour import LUMA
from jaxgan.images.draws import alike, uniform_in, whole_in
from jaxgan.images.jpeg import jpeg, round_straight
from jaxgan.images.resizing import resize

Span = tuple[NotNegative, NotNegative]
Widths = tuple[Positive, Positive]
Qualities = tuple[Quality, Quality]
Images = Float[Array, "b h w c"]
Conditions = Float[Array, "b h2 w2 c2"]
Range = float | tuple[float, float]
Interval = tuple[float, float]

PATH = "config.task.degradation"
EDGE = 4.0  # brightness of an edge by its slope


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
        return alike(lambda image: eight_bits(resize(image, *reduced_sides(image, self.scale), clip=True)), image)


@dataclasses.dataclass(frozen=True)
class Blur:
    """Convolved with a random kernel of the kinds of Real-ESRGAN (see `jaxgan.augment.blur_kernels`)."""

    sigma: Positive | Widths = (0.2, 3.0)  # pixels
    kinds: tuple[str, ...] = tuple(SHARES)

    scale = 1
    masks = False

    def __post_init__(self) -> None:
        """Raises UserError for unknown kinds and for widths out of range."""
        if checked_range("sigma", self.sigma)[0] == 0.0:
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
        kernels = random_kernels(key, image.shape[0], checked_range("sigma", self.sigma), shares)
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
        checked_range("strength", self.strength)
        checked_range("grey", self.grey, 1.0)

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
        strength = uniform_in(strength_key, image.shape[0], checked_range("strength", self.strength))
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
        checked_range("amount", self.amount)
        checked_range("grey", self.grey, 1.0)

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
        amount = uniform_in(amount_key, image.shape[0], checked_range("amount", self.amount))
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
        checked_range("quality", self.quality, 100, least=1)

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
        quality = whole_in(key, image.shape[0], checked_range("quality", self.quality, 100, least=1))
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
        checked_range("width", self.width, 1.0)
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


def eight_bits(image: Images) -> Images:
    """Clipped to [-1, 1] and rounded to its 256 levels, with the derivative of clipping alone."""
    return round_straight(jnp.clip((image + 1.0) * 127.5, 0.0, 255.0)) / 127.5 - 1.0


def reduced_sides(image: Images, scale: int) -> tuple[int, int]:
    """Height and width divided by the scale. Raises UserError if there is a remainder."""
    height, width = image.shape[1:3]
    if height % scale or width % scale:
        raise UserError(f"{PATH}.scale: got {scale}, expected a divisor of the sides of the {height}x{width} images")
    return height // scale, width // scale


def checked_range(name: str, value: Range, most: float = math.inf, *, least: float = 0.0) -> Interval:
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
