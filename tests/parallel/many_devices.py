"""Plays small tasks on one simulated device and on several, under jit and pmap; run by test_sharding.

Writes what came of each to the file that it is given: arrays named `game/runner/what`.
"""

import pathlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "training"))

from toy import BATCH, LATENT, GivenLatents
from toy import make_task as make_affine

from jaxgan.augment.ada import ADA
from jaxgan.fields import Field, picture_fields
from jaxgan.game import delivered
from jaxgan.inference.sampling import Sampler
from jaxgan.losses.adversarial import non_saturating, relativistic_average
from jaxgan.models import dcgan, mlp, stylegan2
from jaxgan.parallel import placement
from jaxgan.parallel.mesh import make_mesh
from jaxgan.parallel.runners import JitRunner, PmapRunner
from jaxgan.regularizers.gradient_penalty import r1
from jaxgan.regularizers.lecam import lecam
from jaxgan.regularizers.path_length import path_length
from jaxgan.tasks.adversary import Adversary
from jaxgan.tasks.generation import Generation
from jaxgan.tasks.penalty import Penalty
from jaxgan.training.feed import make_play
from jaxgan.training.state import init_state
from jaxgan.training.step import due_phases, make_train_step

placement.SMALL = 4  # elements, so that the arrays of these games are large enough to be split

LAZY_R1 = Penalty("r1", r1, every=2)
ADAPTIVE = {"target": -0.5, "interval": 3, "images_to_one": 48}  # its probability goes up at once


def toy(**kwargs):
    return make_affine(**{"penalties": (LAZY_R1,), **kwargs})


def remembering():
    """All memories of a batch's logits, and a selection of its rows."""
    lecams = Penalty("lecam", lecam, {"start": 0, "weight": 0.1})
    return toy(penalties=(lecams,), augment=ADA(preset="none", **ADAPTIVE), max_accuracy=0.9, top_k=0.5)


def convolutional():
    """Batch norm in both networks, groups of rows, a loss of the batch's mean."""
    discriminator = dcgan.Discriminator(16, widths=(8, 8), stddev=True)
    adversary = Adversary(discriminator, relativistic_average, penalties=(Penalty("r1", r1),))
    return GivenLatents(dcgan.Generator(16, 1, widths=(8, 8)), adversary, latent_dim=LATENT)


def drawing():
    """Random latents, noise, mixed styles and augmentations on the devices; path length and its mean."""
    return Generation(
        stylegan2.Generator(8, 1, style_dim=4, mapping_layers=2, max_width=4),
        Adversary(stylegan2.Discriminator(8, max_width=4), non_saturating, augment=ADA(preset="blit", **ADAPTIVE)),
        latent_dim=LATENT,
        generator_penalties=(Penalty("path_length", path_length, every=2),),
    )


GAMES = {  # task, size of the images, microbatches, steps
    "toy": (toy, 2, 1, 10),
    "microbatches": (toy, 2, 2, 10),
    "remembering": (remembering, 2, 1, 10),
    "convolutional": (convolutional, 16, 1, 10),
    "drawing": (drawing, 8, 1, 4),
}
RUNNERS = {  # how, over how many devices, and over how many of these large arrays
    "one": (JitRunner, 1, 1),
    "jit": (JitRunner, 2, 1),
    "pmap": (PmapRunner, 2, 1),
    "fsdp": (JitRunner, 4, 2),
}
# pmap draws other noise; the mesh with an fsdp axis has a data axis too, so one game is enough for that alone
LEFT_OUT = {("drawing", "pmap"), *((game, "jit") for game in GAMES if game != "toy")}


def optimizer(images, rollbacks):
    del images, rollbacks
    return optax.sgd(0.1, momentum=0.5)


def played(game, runner):
    make_task, size, microbatches, steps = GAMES[game]
    kind, devices, fsdp = RUNNERS[runner]
    task = make_task()
    optimizers = dict.fromkeys(task.players, optimizer)
    traces = []
    spec = {**picture_fields(size, size, 1), "latent": Field((LATENT,), "float32", "latent")}

    def play(*arguments):
        traces.append(None)
        step = make_train_step(task, optimizers, images=BATCH, microbatches=microbatches, half_life_images=32)
        return make_play(step, spec, jax.random.key(0))(*arguments)

    runner = kind(play, make_mesh({"data": -1, "fsdp": fsdp}, jax.devices()[:devices]))
    zeros = {"image": jnp.zeros((BATCH, size, size, 1))}
    state = runner.init(lambda: init_state(task, optimizers, jax.random.key(7), zeros))
    cache = runner.cache({"image": np.random.default_rng(0).integers(0, 256, (100, size, size, 1), np.uint8)})
    rng, losses, due_sets = np.random.default_rng(1), [], set()
    for index in range(steps):
        sent = {"index": rng.integers(0, 100, BATCH, np.int32)}
        if isinstance(task, GivenLatents):
            sent["latent"] = rng.normal(size=(BATCH, LATENT)).astype(np.float32)
        due = due_phases(task.phases(), index, index * BATCH)
        due_sets.add(due)
        state, metrics = jax.block_until_ready(runner.play(state, cache, [sent], [due]))
        losses.append([float(metrics[name][0]) for name in ("discriminator/loss", "generator/loss")])
    for leaf, wanted in zip(jax.tree.leaves(state), jax.tree.leaves(runner.place(state))):
        assert leaf.sharding.is_equivalent_to(wanted.sharding, leaf.ndim), (leaf.shape, leaf.sharding)
    assert len(traces) == len(due_sets), f"{len(traces)} traces of {len(due_sets)} programs"
    split = sum(not leaf.sharding.is_fully_replicated for leaf in jax.tree.leaves(state))
    assert (split > 0) == (fsdp > 1), f"{split} arrays are split"
    return {
        "losses": np.array(losses),
        "images": np.array(state.images_seen),
        **{field: flat(getattr(state, field)) for field in ("params", "variables", "ema_params", "carry", "opt_state")},
        "samples": Sampler(task.products["generator"], batch_size=4).generate(delivered(state, ("generator",)), 0, 4),
    }


def flat(tree):
    return np.concatenate([np.zeros(0), *(np.asarray(leaf).ravel() for leaf in jax.tree.leaves(tree))])


def draws():
    """Latents of one seed on one device and over four."""
    key, shape = jax.random.key(3), (BATCH, 5)
    over = placement.split_batch(make_mesh({"data": -1}))
    return {
        "draws/one": np.asarray(jax.random.normal(key, shape)),
        "draws/many": np.asarray(jax.jit(lambda: jax.random.normal(key, shape), out_shardings=over)()),
    }


def argument_bytes(fsdp):
    """Bytes of the arguments of a compiled step on each device, nearly all of them state; nothing is played."""
    adversary = Adversary(mlp.Discriminator(widths=(256,)), non_saturating)
    task = Generation(mlp.Generator(8, 1, widths=(256,)), adversary, latent_dim=8)
    optimizers = dict.fromkeys(task.players, optimizer)
    step = make_train_step(task, optimizers, images=BATCH, half_life_images=32)
    mesh = make_mesh({"data": -1, "fsdp": fsdp}, jax.devices()[:fsdp])
    runner = JitRunner(make_play(step, picture_fields(8, 8, 1), jax.random.key(0)), mesh)
    zeros = {"image": jnp.zeros((BATCH, 8, 8, 1))}
    state = runner.place(jax.eval_shape(lambda: init_state(task, optimizers, jax.random.key(7), zeros)))
    rows = {"image": jax.ShapeDtypeStruct((BATCH, 8, 8, 1), np.uint8, sharding=placement.split_batch(mesh))}
    compiled = runner.lower(state, None, [rows], [due_phases(task.phases(), 0, 0)]).compile()
    return compiled.memory_analysis().argument_size_in_bytes


if __name__ == "__main__":
    assert jax.device_count() == 4
    found = {**draws(), "arguments": np.array([argument_bytes(fsdp) for fsdp in (1, 2, 4)])}
    for game in GAMES:
        for runner in RUNNERS:
            if (game, runner) not in LEFT_OUT:
                found |= {f"{game}/{runner}/{name}": array for name, array in played(game, runner).items()}
    np.savez(sys.argv[1], **found)
