"""Trains the toy game on two simulated devices, jit and pmap, and on one; prints the losses. Run by test_runners."""

import json
import pathlib
import sys

import jax
import jax.numpy as jnp
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "training"))

from toy import BATCH, LATENT, GivenLatents, make_task, optimizers

from jaxgan.losses.adversarial import relativistic_average
from jaxgan.models import dcgan
from jaxgan.parallel.mesh import make_mesh
from jaxgan.parallel.runners import JitRunner, PmapRunner
from jaxgan.regularizers.gradient_penalty import r1
from jaxgan.tasks.penalty import Penalty
from jaxgan.training.feed import make_play
from jaxgan.training.state import init_state
from jaxgan.training.step import due_phases, make_train_step

STEPS = 10


def dcgan_task(**kwargs):
    """A game with batch norm in both networks."""
    networks = dcgan.Generator(16, 1, widths=(8, 8)), dcgan.Discriminator(16, widths=(8, 8), stddev=True)
    return GivenLatents(*networks, loss=relativistic_average, latent_dim=LATENT, **kwargs)


def losses(game, size, runner_class, devices):
    task = game(penalties=(Penalty("r1", r1, every=2),))
    zeros = {"image": jnp.zeros((BATCH, size, size, 1))}
    step = make_play(make_train_step(task, optimizers(task)), jax.random.key(0))
    runner = runner_class(step, make_mesh({"data": devices, "fsdp": 1}, jax.devices()[:devices]))
    state = runner.init(lambda: init_state(task, optimizers(task), jax.random.key(7), zeros))
    cache = runner.cache({"image": np.random.default_rng(0).integers(0, 256, (100, size, size, 1), np.uint8)})
    rng, rows = np.random.default_rng(1), []
    for index in range(STEPS):
        sent = {
            "index": rng.integers(0, 100, BATCH, np.int32),
            "latent": rng.normal(size=(BATCH, LATENT)).astype(np.float32),
        }
        due = due_phases(task.phases(), index, index * BATCH)
        state, metrics = jax.block_until_ready(runner.play(state, cache, [sent], [due]))
        rows.append([float(metrics[f"{name}/loss"][0]) for name in ("discriminator", "generator")])
    mean = jax.tree.leaves(state.variables["generator"])[0]
    return {
        "losses": rows,
        "images": int(state.images_seen),
        "mean": mean.tolist(),
    }


assert jax.device_count() == 2
RUNNERS = {"one": (JitRunner, 1), "jit": (JitRunner, 2), "pmap": (PmapRunner, 2)}
GAMES = {"toy": (make_task, 2), "dcgan": (dcgan_task, 16)}
print(json.dumps({g: {r: losses(*GAMES[g], *RUNNERS[r]) for r in RUNNERS} for g in GAMES}))
