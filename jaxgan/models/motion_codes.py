"""What moves a film: codes of each moment, made of noise on a grid in time.

Each network takes noise `[B,M,dim]` and times `[B,N]`, real numbers in frames, to codes `[B,N,D]`; `noise_length` says
how many vectors of noise it needs for times from 0 on. A code knows only the noise near or before its time, so that a
longer film begins as a shorter one.
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
    """Noise by convolutions along time without padding to codes on the grid, and a curve through these."""

    dim: Count = 32  # of noise and codes
    every: Positive = 8.0  # frames from one code to the next
    kernel_sizes: Sequence[Count] = (5,)
    curve: Curve = "b_spline"  # "linear" has codes of half the variance midway, which a generator makes fade
    lr_multiplier: Positive = 1.0  # of the convolutions' learning rate

    def noise_length(self, last: float) -> int:
        """How many vectors of noise films need whose last frame is at this time."""
        return noise_before(codes_until(last / self.every, self.curve), self.kernel_sizes)

    @nn.compact
    def __call__(self, noise: Array, time: Array) -> Array:
        """Codes `[B,N,dim]`."""
        return GAIN[self.curve] * curve(_convolved(self, noise), time / self.every, self.curve)


class Acyclic(nn.Module):
    """The motion codes of StyleGAN-V (Skorokhodov et al. 2022, section 3.1): waves that are pulled to codes on a grid.

    Noise becomes codes u on the grid as in `Convolved`. Between two of them, u and u', a code is p(t) - lerp(p(l),
    p(r)) + lerp(A u, A u'), where l and r are the times of the two and p(t) waves whose speeds and phases u says, so
    that it goes through A u at each time of the grid and never repeats. Defaults are those of their code.
    """

    dim: Count = 512
    every: Positive = 16.0
    kernel_sizes: Sequence[Count] = (11, 11)
    frequencies: Count = 256  # each is a sine and a cosine of the code
    shortest: Positive = 16.0  # period, in frames
    longest: Positive = 1024.0
    lr_multiplier: Positive = 0.01  # of the convolutions' learning rate

    def noise_length(self, last: float) -> int:
        """How many vectors of noise films need whose last frame is at this time."""
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
    """Waves that each go round at one speed for ever: for what moves steadily.

    One vector of noise a film: it says the speed of each wave, 0 to 2 times that of its period in frames, and its
    phase, which is uniform. So every moment of a film has the same law, and a film of any length moves as it begins.
    A "sine" is two numbers of the code, it and its cosine; a "triangle", the path of what bounces between two walls,
    is one.
    """

    frequencies: Count = 8
    shortest: Positive = 16.0  # period, in frames
    longest: Positive = 256.0
    wave: Literal["sine", "triangle"] = "sine"
    every: Positive = 1.0  # films begin within this time; the law of each is the same

    @property
    def dim(self) -> int:
        """Numbers of the noise: two for a wave's phase and one for its speed."""
        return 3 * self.frequencies

    def noise_length(self, last: float) -> int:  # noqa: ARG002
        """One vector, for films of any length."""
        return 1

    @nn.compact
    def __call__(self, noise: Array, time: Array) -> Array:
        """Codes `[B,N,2 frequencies]`, or of triangles `[B,N,frequencies]`, of unit variance."""
        sine, cosine, pace = jnp.split(noise.astype(jnp.float32)[:, :1], 3, axis=-1)
        speed = 1 + jnp.tanh(EqualizedDense(self.frequencies, name="speed")(pace))
        periods = jnp.geomspace(self.shortest, self.longest, self.frequencies)
        phase = jnp.arctan2(sine, cosine) / (2 * math.pi) + speed / periods * time.astype(jnp.float32)[..., None]
        if self.wave == "triangle":
            return math.sqrt(3) * (1 - 4 * jnp.abs(phase % 1 - 0.5))
        return math.sqrt(2) * jnp.concatenate([jnp.sin(2 * math.pi * phase), jnp.cos(2 * math.pi * phase)], axis=-1)


class Recurrent(nn.Module):
    """The motion codes of MoCoGAN (Tulyakov et al. 2018, section 3.1): a GRU fed with noise, the first as its start.

    There is a code a frame, or every so many frames; between them lie straight lines.
    """

    dim: Count = 10
    every: Positive = 1.0

    def noise_length(self, last: float) -> int:
        """How many vectors of noise films need whose last frame is at this time."""
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
    """The codes on the grid, of unit variance at the start."""
    x = noise.astype(jnp.float32)
    for index, size in enumerate(network.kernel_sizes):
        x = leaky_relu(x) if index else x
        x = EqualizedTimeConv(network.dim, size, network.lr_multiplier, name=f"conv_{index}")(x)
    return x
