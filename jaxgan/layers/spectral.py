"""Spectral normalization (Miyato et al. 2018)."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from jaxgan.layers.conv import ConvTranspose


def spectral_norm(layer: nn.Module, x: Array, *, train: bool, wanted: bool = True) -> Array:
    """`layer(x)` with each matrix among its params divided by its largest singular value (eq. 8).

    A kernel is treated as the matrix `[all other axes, features]`, wherever the axis of its output features is. `layer`
    is a named submodule of the calling network; its params keep their paths and values, so the norm can be turned on
    and off. The right singular vector `u` and the value `sigma` are stored in the collection `spectral`. Each forward
    does one step of power iteration (algorithm 1) from the stored `u`; the result is stored only by a training forward
    in which the collection is mutable. `wanted=False` calls the bare layer.
    """
    if not wanted:
        return layer(x)
    moves = train and layer.is_mutable_collection("spectral")  # a frozen forward writes nothing
    return _SpectralNorm(layer, name=f"{layer.name}_norm")(x, moves=moves)


class _SpectralNorm(nn.Module):
    """Like flax's own, except that flax writes the divided kernels into the params at initialization."""

    layer: Any

    @nn.compact
    def __call__(self, x: Any, *, moves: bool) -> Any:
        if self.is_initializing():
            self.layer(x)  # creates the params

        def normed(variables: Any) -> Any:
            return jax.tree_util.tree_map_with_path(lambda path, value: self._normed(path, value, moves), variables)

        return nn.map_variables(lambda layer: layer(x), "params", trans_in_fn=normed)(self.layer)

    def _normed(self, path: Any, value: Array, moves: bool) -> Array:
        if value.ndim < 2:
            return value
        transposed = isinstance(self.layer, ConvTranspose)  # its kernel is [k,k,features,i]
        matrix = (value.swapaxes(-1, -2) if transposed else value).reshape(-1, value.shape[-2 if transposed else -1])
        name = "/".join((self.layer.name, *(str(key.key) for key in path[1:])))
        u = self.variable("spectral", f"{name}/u", self._first_vector, matrix.shape[-1])
        sigma = self.variable("spectral", f"{name}/sigma", jnp.ones, ())
        fixed = lax.stop_gradient(matrix)
        left = _unit(u.value @ fixed.T)
        right = _unit(left @ fixed)
        largest = (left @ matrix @ right.T)[0, 0]
        if moves:
            u.value, sigma.value = right, lax.stop_gradient(largest)
        return value / jnp.where(largest == 0, 1, largest)

    def _first_vector(self, width: int) -> Array:
        return jax.random.normal(self.make_rng("params"), (1, width))


def _unit(vector: Array) -> Array:
    return vector * lax.rsqrt(jnp.square(vector).sum() + 1e-12)
