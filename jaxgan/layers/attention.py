"""Self-attention over the pixels of an image (Zhang et al. 2019, section 3)."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxgan.layers.conv import Conv, Initializer
from jaxgan.layers.frames import Images, by_frame
from jaxgan.layers.spectral import spectral_norm


class SelfAttention(nn.Module):
    """x + gamma o(softmax(theta(x) phi(x)^T) g(x)): each pixel attends to all others (eq. 1 to 3).

    theta and phi have an eighth of the channels, g half of them; all four maps are 1x1 convolutions without
    bias. Keys and values are max-pooled by two, which shrinks the attention map to a quarter. `gamma` starts at 0,
    so the layer starts as the identity. Sides must be even. Pixels of a clip attend to their own frame only.
    """

    spectral: bool = False
    kernel_init: Initializer = nn.initializers.lecun_normal()
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Images, *, train: bool) -> Images:
        """x plus the scaled output of the attention."""
        gathered = by_frame(lambda x: self._gathered(x, train), x)
        gamma = self.param("gamma", nn.initializers.zeros, (), jnp.float32)
        return x.astype(self.dtype) + gamma.astype(self.dtype) * gathered

    def _gathered(self, x: Array, train: bool) -> Array:
        width = x.shape[-1]
        query = _pixels(self._map("theta", max(1, width // 8), x, train))
        key = _pixels(_max_pool(self._map("phi", max(1, width // 8), x, train)))
        value = _pixels(_max_pool(self._map("g", max(1, width // 2), x, train)))
        weights = jax.nn.softmax((query @ key.mT).astype(jnp.float32), axis=-1).astype(self.dtype)
        return self._map("o", width, (weights @ value).reshape(*x.shape[:3], -1), train)

    def _map(self, name: str, width: int, x: Array, train: bool) -> Array:
        conv = Conv(width, 1, use_bias=False, kernel_init=self.kernel_init, dtype=self.dtype, name=name)
        return spectral_norm(conv, x, train=train, wanted=self.spectral)


def _pixels(x: Array) -> Array:
    return x.reshape(x.shape[0], -1, x.shape[-1])


def _max_pool(x: Array) -> Array:
    b, h, w, c = x.shape
    return x.reshape(b, h // 2, 2, w // 2, 2, c).max(axis=(2, 4))
