"""Training of the small networks used by the scores: AdamW, cosine decay, shuffled epochs. Deterministic."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import numpy as np
import optax

from jaxgan.game import Params
from jaxgan.system import signals


@dataclasses.dataclass(frozen=True)
class Course:
    """The settings of one training. 0 steps leave the initial params unchanged.

    `learning_rate` is its peak; `seed` determines the initial weights, the order of the data and all random draws.
    """

    steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    seed: int


def fit(
    init: Callable[[jax.Array], Params],
    loss: Callable[..., jax.Array],
    examples: Callable[[np.ndarray, np.random.Generator], tuple[np.ndarray, ...]],
    count: int,
    course: Course,
) -> Params:
    """Train for one course, a tenth of it warm-up, and return the params.

    `init(key)` returns the initial params; `examples(rows, random)` returns the arrays of `rows` `[n]`, indices below
    `count`, for `loss(params, key, *arrays)`, whose key changes every step. Every row is used once before any is used
    again.
    """
    steps = max(1, course.steps)
    schedule = optax.warmup_cosine_decay_schedule(0.0, course.learning_rate, steps // 10, steps)
    optimizer = optax.adamw(schedule, b2=0.99, weight_decay=course.weight_decay)

    @jax.jit
    def step(
        params: Params, opt_state: optax.OptState, key: jax.Array, number: int, *arrays: jax.Array
    ) -> tuple[Params, optax.OptState]:
        gradients = jax.grad(loss)(params, jax.random.fold_in(key, number), *arrays)
        updates, opt_state = optimizer.update(gradients, opt_state, params)
        return optax.apply_updates(params, updates), opt_state

    random = np.random.default_rng(course.seed)
    init_key = jax.random.key(course.seed)
    step_key = jax.random.fold_in(init_key, 1)
    params = jax.jit(init)(init_key)
    opt_state = jax.jit(optimizer.init)(params)
    order = np.empty(0, np.int64)
    for number in range(course.steps):
        signals.check()
        while len(order) < course.batch_size:
            order = np.concatenate([order, random.permutation(count)])
        rows, order = np.split(order, [course.batch_size])
        params, opt_state = step(params, opt_state, step_key, number, *examples(rows, random))
    return params
