"""StyleGAN2 (Karras et al. 2020) with the class conditioning of StyleGAN2-ADA (Karras et al. 2020a).

The generator maps latents to styles, one per layer, and synthesizes images from styles; each resolution adds its
pixels to the upsampled sum of the earlier ones ("skip"). The discriminator is residual. Layers are named after the
pixels that they work at.
"""

from __future__ import annotations

import math
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxgan.config.domains import Count, Decay, Given, Positive, Share, Whole
from jaxgan.errors import UserError
from jaxgan.game import Array, Judgement
from jaxgan.layers.collective import pmean
from jaxgan.layers.equalized import EqualizedConv, EqualizedDense, leaky_relu, pixel_norm
from jaxgan.layers.frames import Meet, apart
from jaxgan.layers.labels import as_vector, taken
from jaxgan.layers.minibatch_stddev import minibatch_stddev
from jaxgan.layers.modulation import StyledConv, ToRGB, clamped
from jaxgan.layers.resampling import blur, downsample, upsample

START = 4  # pixels of the learned constant that the synthesis starts from
MAPPING_LR = 0.01  # learning rate multiplier of the mapping's layers (Karras et al. 2019, section 2)
LOW_PRECISION_CLAMP = 256.0  # Karras et al. 2020a, appendix D.1

Images = Array | tuple[Array, ...]


class Generator(nn.Module):
    """Latents `[B,Z]` (and labels `[B]`) to images `[B,R,R,C]` in about [-1, 1], by way of styles `[B,L,W]`.

    L is 2 log2(R) - 2: one style for every convolution and one for the last pixels. An embedding of the label is
    concatenated to the latent; both are normalised. With `all_scales`, images are tuples, largest first, down to 8
    pixels.
    """

    resolution: Given[Count]
    channels: Given[Count]
    num_classes: Given[Whole] = 0
    conditioning: Literal["concat"] = "concat"
    condition_dim: Given[Whole] = 0  # length of the vectors that replace labels; 0: none
    style_dim: Count = 512
    mapping_layers: Whole = 8
    base_width: Count | None = None  # at the resolution, doubled at each halving; None: the published one
    max_width: Count = 512
    style_mixing: Share = 0.9  # share of examples with two styles: one before a random layer, another one from it
    style_decay: Decay = 0.995  # of the running mean of styles (Karras et al. 2019 and 2020, their code)
    clamp: Positive | None = None  # of activations; None: none in float32, 256 in low precision
    noise: bool = True  # at every convolution
    all_scales: bool = False
    dtype: DTypeLike = jnp.float32  # of the convolutions; styles and the sum of pixels are float32

    def setup(self) -> None:
        """Raises UserError for a resolution that is not a power of two of at least 8, or for unknown conditioning."""
        widths = stage_widths(self.resolution, self.base_width, self.max_width)
        if self.num_classes and self.conditioning != "concat":
            raise UserError(f"stylegan2: got conditioning {self.conditioning!r}, expected 'concat' for the generator")
        self.mapping = _Mapping(self.style_dim, self.mapping_layers)
        self.synthesis = _Synthesis(widths, self.channels, _bound(self.clamp, self.dtype), self.noise, self.dtype)
        self.style_mean = self.variable("average", "style_mean", jnp.zeros, (self.style_dim,), jnp.float32)

    def __call__(
        self, latent: Array, label: Array | None = None, *, train: bool, truncation: float | None = None
    ) -> Images:
        """The images, float32; `truncation` scales the distance to the mean style (Karras et al. 2019, section 5)."""
        style = self.map(latent, label, train=train)
        if truncation is not None:
            style = self.style_mean.value + truncation * (style - self.style_mean.value)
        return self.synthesize(style, train=train)

    def map(self, latent: Array, label: Array | None = None, *, train: bool) -> Array:
        """Styles `[B,L,W]`; in training, mixed if there is an rng "mixing", and their running mean is updated."""
        condition = taken(self, label)
        condition = None if condition is None else as_vector(condition, self.num_classes)
        style = self.mapping(latent, condition)
        if train and self.is_mutable_collection("average") and not self.is_initializing():
            batch = pmean(jax.lax.stop_gradient(style.mean(axis=0)))
            self.style_mean.value = batch + self.style_decay * (self.style_mean.value - batch)
        layers = 2 * (self.resolution.bit_length() - 1) - 2
        styles = jnp.broadcast_to(style[:, None], (style.shape[0], layers, style.shape[1]))
        if not (train and self.style_mixing and self.has_rng("mixing")):
            return styles
        latent_key, share_key, layer_key = jax.random.split(self.make_rng("mixing"), 3)
        other = self.mapping(jax.random.normal(latent_key, latent.shape, latent.dtype), condition)
        first = jax.random.randint(layer_key, latent.shape[:1], 1, layers)
        first = jnp.where(jax.random.bernoulli(share_key, self.style_mixing, latent.shape[:1]), first, layers)
        return jnp.where((jnp.arange(layers) < first[:, None])[..., None], styles, other[:, None])

    def synthesize(self, style: Array, motion: Array | None = None, *, train: bool) -> Images:
        """The images of styles `[B,L,W]`; in training, noise is drawn from the rng "noise" if there is one.

        `motion` `[B,M]`, the motion codes of frames, is concatenated to each pixel of the constant (Skorokhodov et al.
        2022).
        """
        images = self.synthesis(style, motion, train=train)
        return images if self.all_scales else images[0]


class Discriminator(nn.Module):
    """Images `[B,R,R,C]` (and labels `[B]`) to one logit each.

    Labels enter by projection, that is by the inner product of the last features with a mapped embedding of the class,
    or are predicted by an extra head ("classifier").
    """

    resolution: Given[Count]
    num_classes: Given[Whole] = 0
    conditioning: Literal["projection", "classifier"] = "projection"
    condition_dim: Given[Whole] = 0  # length of the vectors that replace labels; 0: none
    architecture: Literal["resnet", "orig"] = "resnet"  # "orig": without the skips
    mapping_layers: Whole = 8  # layers of the mapping of labels
    base_width: Count | None = None  # at the resolution, doubled at each halving; None: the published one
    max_width: Count = 512
    group_size: Count = 4  # of the minibatch standard deviation
    clamp: Positive | None = None  # of activations; None: none in float32, 256 in low precision
    dtype: DTypeLike = jnp.float32  # the last layers, from the minibatch standard deviation on, are float32

    @nn.compact
    def __call__(self, image: Array, label: Array | None = None, *, train: bool, meet: Meet = apart) -> Judgement:
        """Logits `[B]` and the features `[B,F]` before them; there are no statistics, so `train` changes nothing.

        `meet` is applied after each block. Raises UserError for invalid fields, or images of another resolution.
        """
        del train
        widths = stage_widths(self.resolution, self.base_width, self.max_width)
        if image.shape[1:3] != (self.resolution,) * 2:
            got = "x".join(map(str, image.shape[1:3]))
            raise UserError(f"stylegan2: got images of {got}, expected {self.resolution} pixels")
        if self.architecture not in ("resnet", "orig"):
            raise UserError(f"stylegan2: got architecture {self.architecture!r}, expected 'resnet' or 'orig'")
        bound = _bound(self.clamp, self.dtype)
        x = EqualizedConv(widths[-1], 1, dtype=self.dtype, name="from_rgb")(image)
        x = clamped(leaky_relu(x), bound)
        for index in range(len(widths) - 1, 0, -1):
            name = f"block_{START << index}"
            x = meet(_DownBlock(widths[index - 1], self.architecture == "resnet", bound, self.dtype, name=name)(x))
        x = minibatch_stddev(x.astype(jnp.float32), group_size=self.group_size)
        x = clamped(leaky_relu(EqualizedConv(widths[0], name=f"conv_{START}")(x)), bound)
        features = leaky_relu(EqualizedDense(widths[0], name="features")(x.reshape(x.shape[0], -1)))
        return self._judged(features, label)

    def _judged(self, features: Array, label: Array | None) -> Judgement:
        width, class_logits = features.shape[-1], None
        label = taken(self, label, needed=self.conditioning != "classifier")
        if self.condition_dim and self.conditioning != "projection":
            raise UserError(f"stylegan2: got conditioning {self.conditioning!r}, expected 'projection' for vectors")
        if label is not None and self.conditioning == "projection":
            compared = EqualizedDense(width, name="logit")(features)
            mapping = _Mapping(width, self.mapping_layers, name="mapping")
            mapped = mapping(None, as_vector(label, self.num_classes))
            logits = (compared * mapped).sum(axis=-1) / math.sqrt(width)
        else:
            logits = EqualizedDense(1, name="logit")(features)[:, 0]
        if self.num_classes and self.conditioning == "classifier":
            class_logits = EqualizedDense(self.num_classes, name="class_logits")(features)
        elif self.num_classes and self.conditioning != "projection":
            raise UserError(
                f"stylegan2: got conditioning {self.conditioning!r},"
                " expected 'projection' or 'classifier' for the discriminator"
            )
        return Judgement(logits=logits, features=features, class_logits=class_logits)


class _Mapping(nn.Module):
    """Latents `[B,Z]` and conditions `[B,K]`, or one of the two, to vectors `[B,features]`."""

    features: int
    layers: int

    @nn.compact
    def __call__(self, latent: Array | None, condition: Array | None) -> Array:
        parts = [] if latent is None else [pixel_norm(latent.astype(jnp.float32))]
        if condition is not None:
            parts.append(pixel_norm(EqualizedDense(self.features, name="label")(condition)))
        x = jnp.concatenate(parts, axis=-1)
        for index in range(self.layers):
            x = leaky_relu(EqualizedDense(self.features, lr_multiplier=MAPPING_LR, name=f"dense_{index}")(x))
        return x


class _Synthesis(nn.Module):
    """Styles `[B,L,W]` to images at every resolution from 8 pixels, largest first."""

    widths: tuple[int, ...]
    channels: Count
    clamp: Positive | None
    noise: bool
    dtype: DTypeLike

    @nn.compact
    def __call__(self, style: Array, motion: Array | None, *, train: bool) -> tuple[Array, ...]:
        def styled(index: int, features: int, x: Array, name: str, *, up: bool = False) -> Array:
            layer = StyledConv(features, up, self.clamp, self.noise, self.dtype, name=name)
            return layer(x, style[:, index], train=train)

        def to_rgb(index: int, x: Array, pixels: int) -> Array:
            return ToRGB(self.channels, self.clamp, self.dtype, name=f"to_rgb_{pixels}")(x, style[:, index])

        shape = (START, START, self.widths[0])
        constant = self.param("constant", nn.initializers.normal(1.0), shape, jnp.float32)
        x = jnp.broadcast_to(constant.astype(self.dtype), (style.shape[0], *shape))
        if motion is not None:
            spread = jnp.broadcast_to(motion.astype(self.dtype)[:, None, None], (*x.shape[:3], motion.shape[-1]))
            x = jnp.concatenate([x, spread], axis=-1)
        x = styled(0, self.widths[0], x, f"conv_{START}")
        image, images = to_rgb(1, x, START), []
        for index, width in enumerate(self.widths[1:], 1):
            pixels = START << index
            x = styled(2 * index - 1, width, x, f"up_{pixels}", up=True)
            x = styled(2 * index, width, x, f"conv_{pixels}")
            # to_rgb shares its style with the first convolution of the next resolution
            image = upsample(image) + to_rgb(2 * index + 1, x, pixels)
            images.append(image)
        return tuple(images[::-1])


class _DownBlock(nn.Module):
    """Halves an image: `[B,R,R,I] -> [B,R/2,R/2,features]`."""

    features: int
    residual: bool
    clamp: Positive | None
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x: Array) -> Array:
        conv = EqualizedConv(x.shape[-1], dtype=self.dtype, name="conv")
        down = EqualizedConv(self.features, stride=2, padding=0, dtype=self.dtype, name="down")
        y = clamped(leaky_relu(conv(x)), self.clamp)
        y = clamped(leaky_relu(down(blur(y, (2, 2)))), self.clamp)
        if not self.residual:
            return y
        skip = EqualizedConv(self.features, 1, use_bias=False, dtype=self.dtype, name="skip")
        return (y + skip(downsample(x))) * math.sqrt(0.5)  # keeps unit variance


def stage_widths(resolution: int, base_width: int | None, max_width: int) -> tuple[int, ...]:
    """The channels at 4, 8, ... pixels. Raises UserError for a resolution that is not a power of two of at least 8."""
    stages = resolution.bit_length() - START.bit_length()
    if resolution != START << max(stages, 1):
        raise UserError(f"stylegan2: got resolution {resolution}, expected a power of two of at least 8")
    if base_width is None:  # Karras et al. 2020a, appendix C
        base_width = (32768 if resolution >= 512 else 16384) // resolution
    return tuple(min(base_width << (stages - index), max_width) for index in range(stages + 1))


def _bound(clamp: float | None, dtype: DTypeLike) -> float | None:
    return LOW_PRECISION_CLAMP if clamp is None and jnp.dtype(dtype) != jnp.float32 else clamp
