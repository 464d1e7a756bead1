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

    A kernel counts as the matrix `[everything else, features]`, whichever axis its output features are on. `layer` is a
    named submodule of the network that calls this; its params stay where and as they are, so that the norm can be
    turned off and on. Kept beside it, in the collection `spectral`, are the right singular vector `u` and the value
    `sigma`. Each forward takes one step of power iteration (algorithm 1) from the `u` kept; only a training forward in
    which the collection is mutable keeps the new one. `wanted=False` is the bare layer.
    """
    if not wanted:
        return layer(x)
    moves = train and layer.is_mutable_collection("spectral")  # a frozen forward writes nothing
    return _SpectralNorm(layer, name=f"{layer.name}_norm")(x, moves=moves)


class _SpectralNorm(nn.Module):
    """As flax's own, which writes the divided kernels into the params when these are made."""

    layer: Any

    @nn.compact
    def __call__(self, x: Any, *, moves: bool) -> Any:
        if self.is_initializing():
            self.layer(x)  # makes the params

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
