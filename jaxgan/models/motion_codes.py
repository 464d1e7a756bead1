"""Networks for motion codes: one code for each time of a film, computed from noise on a grid in time.

Each network maps noise `[B,M,dim]` and times `[B,N]`, real numbers in frames, to codes `[B,N,D]`; `noise_length` is
the number of noise vectors that it needs for times from 0. A code depends only on the noise near or before its time,
so that a longer film begins like a shorter one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.config.domains import Count, Positive
from jaxgan.game import Array
from jaxgan.layers.equalized import EqualizedDense, EqualizedTimeConv, leaky_relu
from jaxgan.layers.repeat import fold
from jaxgan.layers.time_grid import Curve, codes_until, curve, noise_before

GAIN: dict[str, float] = {"linear": 1.0, "b_spline": math.sqrt(2)}  # for about unit variance of curves


class Convolved(nn.Module):
    """Codes on the grid, from noise by unpadded convolutions along time, and a curve through these codes."""

    dim: Count = 32  # of noise and codes
    every: Positive = 8.0  # frames from one code to the next
    kernel_sizes: Sequence[Count] = (5,)
    curve: Curve = "b_spline"  # "linear" halves the variance midway between codes, so that images fade there
    lr_multiplier: Positive = 1.0  # of the convolutions' learning rate

    def noise_length(self, last: float) -> int:
        """The number of noise vectors that a film needs if its last frame is at this time."""
        return noise_before(codes_until(last / self.every, self.curve), self.kernel_sizes)

    @nn.compact
    def __call__(self, noise: Array, time: Array) -> Array:
        """Codes `[B,N,dim]`."""
        return GAIN[self.curve] * curve(_convolved(self, noise), time / self.every, self.curve)


class Acyclic(nn.Module):
    """The motion codes of StyleGAN-V (Skorokhodov et al. 2022, section 3.1): waves aligned to codes on a grid.

    Noise becomes codes u on the grid as in `Convolved`. Between two neighbours u and u' at times l and r, the code is
    p(t) - lerp(p(l), p(r)) + lerp(A u, A u'). Here p(t) are waves whose speeds and phases follow from u, so that the
    code equals A u at each time of the grid and never repeats. Defaults are those of the authors' code.
    """

    dim: Count = 512
    every: Positive = 16.0
    kernel_sizes: Sequence[Count] = (11, 11)
    frequencies: Count = 256  # each is a sine and a cosine of the code
    shortest: Positive = 16.0  # period, in frames
    longest: Positive = 1024.0
    lr_multiplier: Positive = 0.01  # of the convolutions' learning rate

    def noise_length(self, last: float) -> int:
        """The number of noise vectors that a film needs if its last frame is at this time."""
        return noise_before(max(2, codes_until(last / self.every)), self.kernel_sizes)

    @nn.compact
    def __call__(self, noise: Array, time: Array) -> Array:
        """Codes `[B,N,2 frequencies]`."""
        codes = _convolved(self, noise)
        place = jnp.clip(time.astype(jnp.float32) / self.every, 0, codes.shape[1] - 1)
        index = jnp.minimum(jnp.floor(place).astype(jnp.int32), codes.shape[1] - 2)
        left, right = (jnp.take_along_axis(codes, (index + step)[..., None], axis=1) for step in (0, 1))
        speed = 1 + jnp.tanh(EqualizedDense(self.frequencies, name="speed")(left))
        phase = EqualizedDense(self.frequencies, name="phase")(left)
        periods = jnp.geomspace(self.shortest, self.longest, self.frequencies)

        def wave(place: Array) -> Array:
            angle = 2 * math.pi / periods * speed * (place * self.every)[..., None] + phase
            return jnp.concatenate([jnp.sin(angle), jnp.cos(angle)], axis=-1)

        def between(before: Array, after: Array) -> Array:
            return before + (place - index)[..., None] * (after - before)

        align = EqualizedDense(2 * self.frequencies, use_bias=False, name="align")
        return wave(place) - between(wave(index), wave(index + 1)) + between(align(left), align(right))


class Steady(nn.Module):
    """Waves of constant speed, for steady motion.

    Each film has one noise vector. It determines the speed of each wave, 0 to 2 times that of its period in frames,
    and its phase, which is uniform. So the codes have the same distribution at all times, and films of any length keep
    moving in the same way. A "sine" is two numbers of the code, the sine and the cosine; a "triangle", the path of an
    object that bounces between two walls, is one.
    """

    frequencies: Count = 8
    shortest: Positive = 16.0  # period, in frames
    longest: Positive = 256.0
    wave: Literal["sine", "triangle"] = "sine"
    every: Positive = 1.0  # films begin within this time; their distribution does not depend on it

    @property
    def dim(self) -> int:
        """Length of the noise vector: two numbers for each wave's phase and one for its speed."""
        return 3 * self.frequencies

    def noise_length(self, last: float) -> int:  # noqa: ARG002
        """One vector, for films of any length."""
        return 1

    @nn.compact
    def __call__(self, noise: Array, time: Array) -> Array:
        """Codes `[B,N,2 frequencies]`, or `[B,N,frequencies]` for triangles, of unit variance."""
        sine, cosine, pace = jnp.split(noise.astype(jnp.float32)[:, :1], 3, axis=-1)
        speed = 1 + jnp.tanh(EqualizedDense(self.frequencies, name="speed")(pace))
        periods = jnp.geomspace(self.shortest, self.longest, self.frequencies)
        phase = jnp.arctan2(sine, cosine) / (2 * math.pi) + speed / periods * time.astype(jnp.float32)[..., None]
        if self.wave == "triangle":
            return math.sqrt(3) * (1 - 4 * jnp.abs(phase % 1 - 0.5))
        return math.sqrt(2) * jnp.concatenate([jnp.sin(2 * math.pi * phase), jnp.cos(2 * math.pi * phase)], axis=-1)


class Recurrent(nn.Module):
    """The motion codes of MoCoGAN (Tulyakov et al. 2018, section 3.1): a GRU of noise; the first vector is its state.

    There is one code every `every` frames, with linear interpolation between them.
    """

    dim: Count = 10
    every: Positive = 1.0

    def noise_length(self, last: float) -> int:
        """The number of noise vectors that a film needs if its last frame is at this time."""
        return 1 + codes_until(last / self.every)

    @nn.compact
    def __call__(self, noise: Array, time: Array) -> Array:
        """Codes `[B,N,dim]`."""
        start, steps = noise[:, 0], jnp.swapaxes(noise[:, 1:], 0, 1)
        fed = nn.Dense(3 * self.dim, name="fed")(steps)
        init, shape = nn.initializers.orthogonal(), (self.dim, 3 * self.dim)
        kernel = self.param("kernel", init, shape, jnp.float32)

        def step(state: Array, fed: Array) -> tuple[Array, Array]:  # Cho et al. 2014, eq. 5 to 8
            update, reset, new = jnp.split(fed, 3, axis=-1)
            own_update, own_reset, own_new = jnp.split(state @ kernel, 3, axis=-1)
            keep = jax.nn.sigmoid(update + own_update)
            state = keep * state + (1 - keep) * jnp.tanh(new + jax.nn.sigmoid(reset + own_reset) * own_new)
            return state, state

        _, codes = fold(step, start, fed, unroll_on_cpu=False)
        return curve(jnp.swapaxes(codes, 0, 1), time / self.every)


def _convolved(network: Convolved | Acyclic, noise: Array) -> Array:
    """The codes on the grid, of unit variance at initialisation."""
    x = noise.astype(jnp.float32)
    for index, size in enumerate(network.kernel_sizes):
        x = leaky_relu(x) if index else x
        x = EqualizedTimeConv(network.dim, size, network.lr_multiplier, name=f"conv_{index}")(x)
    return x
