"""Projection: find the latent or style whose image is nearest to a given one (Karras et al. 2020, appendix D).

The distance is `pyramid-l2`: mean squared differences over an image pyramid. It requires no download. The published
projector uses LPIPS, which requires the weights of a trained network and, unlike this distance, tolerates shifts of
texture. The stored noise images are not optimised, so no noise regularisation is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float

from jaxgan.game import Array, Weights
from jaxgan.layers.resampling import box_downsample
from jaxgan.parallel.compiler import compiler_options
from jaxgan.system import signals

DISTANCE = "pyramid-l2"
SMALLEST = 4  # pixels: smallest side of a pyramid level
LEARNING_RATE = 0.1
RAMP_UP, RAMP_DOWN = 0.05, 0.25  # shares of the steps in which the learning rate rises and falls
NOISE, NOISE_RAMP = 0.05, 0.75  # initial noise relative to the codes' spread; share of the steps in which it falls to 0

Decode = Callable[[Weights, Array], Array]  # (weights, codes [n,D]) -> images [n,H,W,C] in [-1, 1]


class Projection(NamedTuple):
    """The nearest code found `[D]`, its image `[H,W,C]`, and the distances `[steps + 1]`.

    The last distance is that of the code; the others were measured in the steps, with noise.
    """

    code: np.ndarray
    image: np.ndarray
    distances: np.ndarray


def project(
    decode: Decode,
    weights: Weights,
    target: np.ndarray,
    *,
    start: np.ndarray,
    spread: float,
    steps: int = 1000,
    seed: int = 0,
) -> Projection:
    """Optimise a code, starting at `start` `[D]`, so that its image is near `target` `[H,W,C]`, float in [-1, 1].

    Uses Adam with a learning rate that rises and falls; noise that decays to 0 is added to the code. `spread` is the
    root mean squared distance of codes from their mean. Returns the last code, or `start` if that is nearer. Raises
    ValueError for fewer than one step.
    """
    if steps < 1:
        raise ValueError(f"steps: got {steps}, expected 1 or more")
    optimizer = optax.adam(lambda count: learning_rate(count, steps))

    def loss(code: Array, weights: Weights, target: Array) -> tuple[Array, Array]:
        image = decode(weights, code[None])
        return pyramid_distance(image, target[None])[0], image[0]

    def step(
        code: Array, moments: optax.OptState, count: Array, weights: Weights, target: Array
    ) -> tuple[Array, optax.OptState, Array]:
        scale = spread * NOISE * jnp.maximum(0.0, 1.0 - count / steps / NOISE_RAMP) ** 2
        noise = scale * jax.random.normal(jax.random.fold_in(jax.random.key(seed), count), code.shape)
        (distance, _), gradient = jax.value_and_grad(loss, has_aux=True)(code + noise, weights, target)
        updates, moments = optimizer.update(gradient, moments)
        return optax.apply_updates(code, updates), moments, distance

    # a Python loop, because convolutions inside compiled loops are slow on CPU
    options = compiler_options(jax.default_backend())
    move, measure = jax.jit(step, compiler_options=options), jax.jit(loss, compiler_options=options)
    code, moments, wanted = jnp.asarray(start, jnp.float32), optimizer.init(start), jnp.asarray(target, jnp.float32)
    first, first_image = measure(code, weights, wanted)
    begun, distances = (code, first_image), []
    for count in range(steps):
        signals.check()
        code, moments, distance = move(code, moments, np.int32(count), weights, wanted)
        distances.append(distance)
    last, image = measure(code, weights, wanted)
    if first < last:
        code, image = begun
    curve = jax.device_get([*distances, jnp.minimum(first, last)])
    return Projection(np.asarray(code), np.asarray(image), np.asarray(curve))


def pyramid_distance(images: Float[Array, "n h w c"], targets: Float[Array, "n h w c"]) -> Float[Array, " n"]:
    """`pyramid-l2`: mean squared differences, summed over halvings of the images down to 4 pixels or an odd side."""
    difference = images - targets
    total = jnp.square(difference).mean(axis=(1, 2, 3))
    while min(difference.shape[1:3]) >= 2 * SMALLEST and not any(side % 2 for side in difference.shape[1:3]):
        difference = box_downsample(difference)
        total += jnp.square(difference).mean(axis=(1, 2, 3))
    return total


def learning_rate(count: int | Array, steps: int) -> Array:
    """The rate at step `count`, from 0: a linear rise over 5% of the steps, a cosine fall over the last 25%."""
    share = count / steps
    fall = jnp.minimum(1.0, (1.0 - share) / RAMP_DOWN)
    return LEARNING_RATE * (0.5 - 0.5 * jnp.cos(jnp.pi * fall)) * jnp.minimum(1.0, share / RAMP_UP)
