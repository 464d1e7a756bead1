"""Deformable convolutions, whose taps are displaced per pixel, as gathers and one matrix product on every platform."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

Maps = Float[Array, "b h w c"]
Places = Float[Array, "b h w k g"]


def deformable_conv(
    x: Maps,
    offset: Float[Array, "b h w k g 2"],
    weight: Places,
    kernel: Float[Array, "rows columns c d"],
) -> Float[Array, "b h w d"]:
    """A modulated deformable convolution with a kernel of odd sides, without bias (Zhu et al. 2019, "DCNv2", eq. 1).

    Tap k (in row-major order) of a pixel p samples x bilinearly at p + the tap's position in the kernel +
    `offset[p, k, g]` (in pixels: down, right) and is multiplied by `weight[p, k, g]`; the channels form g consecutive
    groups. x is zero beyond the border. Raises ValueError if the number of taps or groups does not match.
    """
    channels, (rows, columns), (taps, groups) = x.shape[-1], kernel.shape[:2], weight.shape[3:]
    if taps != rows * columns or not rows % 2 or not columns % 2:
        raise ValueError(f"expected offsets for the taps of a kernel of odd sides, got {taps} for {rows} x {columns}")
    if channels % groups:
        raise ValueError(f"expected groups that divide {channels} channels, got {groups}")
    down, right = jnp.meshgrid(jnp.arange(rows) - rows // 2, jnp.arange(columns) - columns // 2, indexing="ij")
    seen = _sampled(x, offset + jnp.stack([down.ravel(), right.ravel()], axis=-1)[:, None], weight)
    by_group = kernel.reshape(taps, groups, channels // groups, -1).astype(x.dtype)
    return jnp.einsum("bhwkgc,kgcd->bhwd", seen, by_group)


def warp_into_nothing(x: Maps, flow: Float[Array, "b h w 2"]) -> Maps:
    """y[p] = x[p + flow[p]] as `jaxgan.layers.warping.warp`, but zero beyond the border; flow is (right, down)."""
    offset = flow[..., None, None, ::-1]
    return _sampled(x, offset, jnp.ones(offset.shape[:-1]))[..., 0, 0, :]


def _sampled(x: Maps, offset: Float[Array, "b h w k g 2"], weight: Places) -> Float[Array, "b h w k g c2"]:
    """x sampled bilinearly at `offset` pixels from each pixel, zero beyond the border, times `weight`."""
    batch, height, width, channels = x.shape
    groups = weight.shape[-1]
    row = jnp.arange(height)[:, None, None, None] + offset[..., 0]
    column = jnp.arange(width)[:, None, None] + offset[..., 1]
    above, left = jnp.floor(row), jnp.floor(column)
    lower, further = row - above, column - left  # shares of the pixels below and to the right
    flat = x.reshape(batch * height * width * groups, channels // groups)
    first = jnp.arange(batch)[:, None, None, None, None] * (height * width)

    def at(row: Int[Array, "b h w k g"], column: Int[Array, "b h w k g"], share: Array) -> Array:
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        place = first + jnp.clip(row, 0, height - 1) * width + jnp.clip(column, 0, width - 1)
        share = jnp.where(inside, share, 0.0) * weight
        return jnp.take(flat, place * groups + jnp.arange(groups), axis=0) * share[..., None].astype(x.dtype)

    top, start = above.astype(jnp.int32), left.astype(jnp.int32)
    seen = at(top, start, (1 - lower) * (1 - further)) + at(top, start + 1, (1 - lower) * further)
    seen += at(top + 1, start, lower * (1 - further))
    return seen + at(top + 1, start + 1, lower * further)
