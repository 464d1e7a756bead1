"""Rounds of our train step, with the inputs of its networks, for torch to repeat (see `peer.py`).

A task is built from a config and played as a run plays it. Latents, conditions and styles are kept as the networks
get them, so no test here knows how keys are folded. This file alone knows how a task is built and played.
"""

import dataclasses
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.linen import intercept_methods

from jaxgan.building.assemble import fill_in, make_task
from jaxgan.building.builder import check_sections
from jaxgan.building.parts import make_init, make_optimizers, make_step, root_key
from jaxgan.config.overrides import resolve
from jaxgan.data.sources import DataSpec
from jaxgan.fields import picture_fields
from jaxgan.training.step import due_phases

CLASSES = 3  # number of labels, if batches have any
RATE, BETAS, EPSILON = 1e-2, (0.5, 0.9), 1e-3  # of Adam: so large an epsilon shows the size of the first gradient too
ADAM = {"name": "adam", "learning_rate": RATE, "b1": BETAS[0], "b2": BETAS[1], "eps": EPSILON}
HALF_LIFE = 20  # of the average, in images
COMMON = {
    "optimizers": {"generator": ADAM, "discriminator": ADAM},
    "ema": {"half_life_images": HALF_LIFE},
    "data": {"name": "random"},
    "images": 1,
}


class Watch:
    """Records, by name, arrays that a compiled step reports."""

    def __init__(self):
        self.reports = {}

    def tell(self, name, value):
        jax.debug.callback(lambda value: self.reports.setdefault(name, []).append(np.array(value)), value)

    def take(self):
        """The arrays reported since the last call; those reported more than once must be equal."""
        jax.effects_barrier()
        reported, self.reports = self.reports, {}
        for name, (first, *others) in reported.items():
            assert all(np.array_equal(first, other) for other in others), name
        return {name: values[0] for name, values in reported.items()}

    def images_drawn(self):
        """A context in which traced code reports, as `noise`, normal noise of the shape of images."""
        drawn = jax.random.normal

        def normal(key, shape=(), *arguments, **options):
            value = drawn(key, shape, *arguments, **options)
            if len(shape) == 4:
                self.tell("noise", value)
            return value

        return mock.patch("jax.random.normal", normal)


@dataclasses.dataclass
class Watched:
    """A network that reports its inputs and uses its constant sampling noise instead of random noise."""

    network: Any
    watch: Watch

    def __getattr__(self, name):
        return getattr(self.network, name)

    def apply(self, tree, *inputs, rngs=None, method=None, **options):
        """Reports the first input under the method's name, or `draw`, and the inputs of StyleGAN2's two parts."""
        outer, within = method or "draw", []
        self.watch.tell(outer, inputs[0])

        def call(method, arguments, named, context):
            name = context.module.name
            if name in ("mapping", "synthesis") and context.method_name == "__call__":
                within.append(name)
                self.watch.tell(f"{outer}/{name}_{within.count(name)}", arguments[0])
            return method(*arguments, **named)

        if method is not None:
            options["method"] = method
        rngs = {name: key for name, key in (rngs or {}).items() if name != "noise"}
        with intercept_methods(call):
            return self.network.apply(tree, *inputs, rngs=rngs, **options)


@dataclasses.dataclass
class Round:
    """A round: its phases, its batch, the inputs of the networks, the metrics, and the state afterwards."""

    due: dict[str, str]  # the phases, each with its player
    batch: dict[str, np.ndarray]
    given: dict[str, np.ndarray]
    metrics: dict[str, float]
    state: Any


def play(tree, batches, *, step=0):
    """The initial state and the rounds of a config, from random weights, starting at a step."""
    rows, height, width, channels = batches[0]["image"].shape
    classes = tuple(map(str, range(CLASSES))) if "label" in batches[0] else ()
    spec = DataSpec("random", "train", 100, picture_fields(height, width, channels, classes), "0" * 16)
    config = resolve({**COMMON, "batch_size": rows, **tree}, {})
    check_sections(config)
    config = fill_in(config, spec)
    task, watch = make_task(config), Watch()
    task = dataclasses.replace(task, generator=Watched(task.generator, watch))
    optimizers = make_optimizers(config, task)
    seen = jnp.int32(step * rows)
    state = randomized(jax.jit(make_init(config, task, optimizers, spec))())
    state = state.replace(step=jnp.int32(step), images_seen=seen, averaged_at=dict.fromkeys(state.averaged_at, seen))
    start, rounds, phases = jax.device_get(state), [], task.phases()
    train_step = jax.jit(make_step(config, task, optimizers), static_argnums=3)
    with watch.images_drawn():
        for batch in batches:
            due = due_phases(phases, int(state.step), int(state.images_seen))
            state, metrics = train_step(state, batch, root_key(config), due)
            metrics = {name: float(value) for name, value in metrics.items()}
            players = {phases[index].name: phases[index].player for index in due}
            rounds.append(Round(players, batch, watch.take(), metrics, jax.device_get(state)))
    assert int(state.skipped) == 0
    return start, rounds


def randomized(state):
    """The state with equal initial numbers (zeros, ones, slopes) made different: they could hide an error."""
    random = np.random.default_rng(0)

    def apart(leaf):
        if leaf.size > 1 and np.ptp(leaf) > 0:
            return leaf
        return leaf + 0.2 * np.abs(random.normal(size=leaf.shape)).astype(np.float32)

    params, variables = (jax.tree.map(apart, tree) for tree in (state.params, state.variables))
    averages = [{name: jax.tree.map(jnp.copy, tree[name]) for name in state.ema_params} for tree in (params, variables)]
    return state.replace(params=params, variables=variables, ema_params=averages[0], ema_variables=averages[1])


def random_batches(count, size, channels=3, *, rows=8, labels=False, seed=1):
    """Batches of random images, optionally with labels."""
    random = np.random.default_rng(seed)
    batches = [{"image": random.uniform(-1, 1, (rows, size, size, channels)).astype(np.float32)} for _ in range(count)]
    if labels:
        batches = [batch | {"label": random.integers(0, CLASSES, rows).astype(np.int32)} for batch in batches]
    return batches


def flat(trees):
    """Arrays by path, such as `generator/stem/kernel`."""
    leaves = jax.tree_util.tree_leaves_with_path(trees)
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): np.asarray(leaf, np.float64) for path, leaf in leaves
    }


def moments(state, name):
    """Adam's `mu` or `nu` by the params' paths. After one round `mu` is (1 - b1) times the gradient."""
    trees = (optax.tree_utils.tree_get(opt_state, name) for opt_state in state.opt_state.values())
    return {path: value for tree in trees for path, value in flat(tree).items()}
