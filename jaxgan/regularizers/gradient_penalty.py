"""Gradient penalties on a critic, exact (double backward) or by finite differences (forward passes only).

Every penalty requests its inputs by name (`critic`, `fake_critic`, `real`, `fake`, `key`) and returns one value per
logit, `[B / critic.rows]`, including the weight. `critic` maps inputs (a pytree of `[B, ...]`: an image, all its
scales, a clip) to logits (a pytree of `[B / rows, ...]`); patches and scales of logits are averaged. x is the whole
input of one logit: for packed images (PacGAN, Lin et al. 2018) the gradient is taken with respect to the whole pack.

With finite differences a penalty uses one random direction per logit: for n ~ N(0, I) the slope
s = (D(x + sigma n) - D(x)) / sigma has E[s^2] = |grad D|^2 and E|s| = sqrt(2/pi) |grad D| as sigma goes to 0, so the
estimates below are unbiased and need no second derivative. The two logits are close, so a critic must compute them in
float32, with matrix products at full precision: by default GPUs and TPUs round the factors of float32 products to
fewer bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxgan.config.domains import GammaTraced, Given, NotNegative, NotNegativeTraced
from jaxgan.game import CriticLike, rows_of
from jaxgan.layers.collective import pmean
from jaxgan.losses.adversarial import per_example

PerLogit = Float[Array, " n"]
Method = Literal["exact", "finite_difference"]

SIGMA = 0.01  # finite-difference step, in units of the image range [-1, 1]


def auto_gamma(resolution: int, batch_size: int) -> float:
    """A starting value of gamma for R1 and R2: 0.0002 * pixels / batch size (Karras et al. 2020a, appendix C)."""
    return 0.0002 * resolution**2 / batch_size


def r1(
    critic: Given[CriticLike],
    real: Given[Any],
    key: Given[Array],
    *,
    real_logits: Given[Any] = None,
    gamma: GammaTraced = 1.0,
    method: Method = "exact",
) -> PerLogit:
    """gamma/2 |grad D|^2 at the reals (Mescheder et al. 2018, eq. 9); `real_logits` is `critic(real)`, if known."""
    return 0.5 * gamma * _square_norm(critic, real, key, method, real_logits)


def r2(
    fake_critic: Given[CriticLike],
    fake: Given[Any],
    key: Given[Array],
    *,
    fake_logits: Given[Any] = None,
    gamma: GammaTraced = 1.0,
    method: Method = "exact",
) -> PerLogit:
    """gamma/2 |grad D|^2 at the fakes (Mescheder et al. 2018, eq. 10).

    `fake_critic` evaluates them as the loss does; `fake_logits` is `fake_critic(fake)`, if known.
    """
    return 0.5 * gamma * _square_norm(fake_critic, fake, key, method, fake_logits)


def wgan_gp(
    critic: Given[CriticLike],
    real: Given[Any],
    fake: Given[Any],
    key: Given[Array],
    *,
    weight: NotNegativeTraced = 10.0,
    method: Method = "exact",
) -> PerLogit:
    """weight (|grad D| - 1)^2 between each real (or pack of reals) and its fake (Gulrajani et al. 2017, eq. 3)."""
    mix_key, key = jax.random.split(key)
    inputs = _between(mix_key, real, fake, rows_of(critic))
    return weight * _distance_from_one(critic, inputs, key, method)


def dragan(
    critic: Given[CriticLike],
    real: Given[Any],
    fake: Given[Any],
    key: Given[Array],
    *,
    weight: NotNegativeTraced = 10.0,
    spread: NotNegative = 0.5,
    method: Method = "exact",
) -> PerLogit:
    """weight (|grad D| - 1)^2 near the reals (Kodali et al. 2017), at points drawn as in the authors' code.

    Each point is interpolated, with a uniform share of its own (or of its pack), between a real and that real moved by
    `spread` standard deviations of the batch times uniform noise.
    """
    del fake
    noise_key, mix_key, key = jax.random.split(key, 3)
    noises = _like(noise_key, real, jax.random.uniform)
    moved = jax.tree.map(lambda x, u: x + spread * _deviation(x) * u, real, noises)
    return weight * _distance_from_one(critic, _between(mix_key, real, moved, rows_of(critic)), key, method)


def _between(key: Array, first: Any, second: Any, rows: int) -> Any:
    """Interpolate between the examples of two pytrees; each `rows` consecutive examples share one uniform draw."""
    batch = jax.tree.leaves(first)[0].shape[0]
    mix = jnp.repeat(jax.random.uniform(key, (batch // rows,)), rows)

    def between(a: Array, b: Array) -> Array:
        share = mix.reshape((batch,) + (1,) * (a.ndim - 1)).astype(a.dtype)
        return a + share * (b - a)

    return jax.tree.map(between, first, second)


def _deviation(x: Array) -> Array:
    """The standard deviation of all values in the batch, over all devices."""
    return jnp.sqrt(pmean(jnp.square(x - pmean(x.mean())).mean()))


def _square_norm(critic: CriticLike, inputs: Any, key: Array, method: Method, logits: Any) -> PerLogit:
    if method == "finite_difference":
        return jnp.square(_slope(critic, inputs, key, logits))
    return _exact_square_norm(critic, inputs)


def _distance_from_one(critic: CriticLike, inputs: Any, key: Array, method: Method) -> PerLogit:
    if method == "finite_difference":  # |g|^2 - 2|g| + 1, with an unbiased estimate of each term
        slope = _slope(critic, inputs, key)
        return jnp.square(slope) - 2.0 * math.sqrt(math.pi / 2.0) * jnp.abs(slope) + 1.0
    # the tiny constant keeps the derivative of the square root finite at a zero gradient
    return jnp.square(jnp.sqrt(_exact_square_norm(critic, inputs) + 1e-12) - 1.0)


def _exact_square_norm(critic: CriticLike, inputs: Any) -> PerLogit:
    gradients = jax.grad(lambda x: per_example(critic(x)).sum())(inputs)
    rows = rows_of(critic)
    # float32 before squaring: squares of bfloat16 gradients overflow and cancel
    squares = [
        jnp.square(g.astype(jnp.float32)).reshape(g.shape[0] // rows, -1).sum(axis=1)
        for g in jax.tree.leaves(gradients)
    ]
    return sum(squares[1:], squares[0])


def _slope(critic: CriticLike, inputs: Any, key: Array, logits: Any = None) -> PerLogit:
    directions = _like(key, inputs, jax.random.normal)
    moved = jax.tree.map(lambda x, n: x + SIGMA * n, inputs, directions)

    def judged(inputs: Any) -> PerLogit:
        with jax.default_matmul_precision("highest"):
            return per_example(critic(inputs))

    if logits is None:
        return (judged(moved) - judged(inputs)) / SIGMA
    # only on CPU are logits computed elsewhere as precise
    before = jax.lax.platform_dependent(cpu=lambda: per_example(logits), default=lambda: judged(inputs))
    return (judged(moved) - before) / SIGMA


def _like(key: Array, tree: Any, draw: Callable[..., Array]) -> Any:
    leaves, structure = jax.tree.flatten(tree)
    keys = jax.random.split(key, len(leaves))
    return jax.tree.unflatten(structure, [draw(k, leaf.shape, leaf.dtype) for k, leaf in zip(keys, leaves)])
