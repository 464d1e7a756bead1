"""Fast Fourier convolution (Chi et al. 2020): some channels see their neighbours, the others the whole image."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxgan.errors import UserError
from jaxgan.layers.conv import Conv
from jaxgan.layers.normalization import BatchNorm
from jaxgan.layers.padding import reflect_pad

Input = Float[Array, "b *t h w i"]
Output = Float[Array, "b *t h w o"]


class FourierUnit(nn.Module):
    """`[b,h,w,i] -> [b,h,w,features]`: 1x1 convolution, batch norm and ReLU of the spectrum (section 3.3).

    The spectrum is that of real images, orthonormal; its channels are the real parts, then the imaginary ones. The
    transforms are computed in float32 regardless of `dtype`.
    """

    features: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Input, *, train: bool) -> Output:
        """`train`: normalize with the statistics of the batch."""
        spectrum = jnp.fft.rfft2(x.astype(jnp.float32), axes=(-3, -2), norm="ortho")
        y = jnp.concatenate([spectrum.real, spectrum.imag], axis=-1)
        y = Conv(2 * self.features, 1, use_bias=False, dtype=self.dtype, name="conv")(y)
        y = nn.relu(BatchNorm(dtype=self.dtype, name="norm")(y, train=train))
        real, imaginary = jnp.split(y.astype(jnp.float32), 2, axis=-1)
        y = jnp.fft.irfft2(lax.complex(real, imaginary), s=x.shape[-3:-1], axes=(-3, -2), norm="ortho")
        return y.astype(self.dtype)


class SpectralTransform(nn.Module):
    """`[b,h,w,i] -> [b,h,w,features]`: a Fourier unit plus its input, at half the channels (figure 2).

    The unit on quarters of the image ("local") is left out, as in Suvorov et al. 2022.
    """

    features: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Input, *, train: bool) -> Output:
        """`train`: normalize with the statistics of the batch."""
        half = max(1, self.features // 2)
        x = Conv(half, 1, use_bias=False, dtype=self.dtype, name="narrow")(x)
        x = nn.relu(BatchNorm(dtype=self.dtype, name="norm")(x, train=train))
        x = x + FourierUnit(half, dtype=self.dtype, name="fourier")(x, train=train)
        return Conv(self.features, 1, use_bias=False, dtype=self.dtype, name="widen")(x)


class FastFourierConv(nn.Module):
    """`[b,h,w,i] -> [b,h,w,features]`; in both, the last `ratio` of the channels are the global ones (eq. 1).

    The 3x3 convolutions pad by reflection. Raises UserError unless there are both local and global channels.
    """

    features: int
    ratio: float = 0.75
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Input, *, train: bool) -> Output:
        """`train`: normalize with the statistics of the batch."""
        local, narrow = (width - int(self.ratio * width) for width in (x.shape[-1], self.features))
        if not (0 < local < x.shape[-1] and 0 < narrow < self.features):
            raise UserError(
                f"ffc: got ratio {self.ratio} of {x.shape[-1]} and {self.features} channels, expected a ratio that "
                "leaves local and global ones"
            )
        around = reflect_pad(x, 1)
        conv = {"padding": 0, "use_bias": False, "dtype": self.dtype}
        y = Conv(self.features, name="from_local", **conv)(around[..., :local])  # to both kinds
        to_local = Conv(narrow, name="from_global", **conv)(around[..., local:])
        transform = SpectralTransform(self.features - narrow, dtype=self.dtype, name="spectral")
        return y + jnp.concatenate([to_local, transform(x[..., local:], train=train)], axis=-1)
