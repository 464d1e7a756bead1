"""A run that resumes with other devices and another runner than it began with; run by test_elastic.

Writes to the file that it is given the states, as bytes, and the order of the data.
"""

import pathlib
import shutil
import sys

import jax
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "training"))

from toy import BATCH, make_batch, make_task

from jaxgan.checkpoints.checkpoint import Checkpoints
from jaxgan.config.run import WatchConfig
from jaxgan.data.order import Order
from jaxgan.fields import picture_fields
from jaxgan.parallel import placement
from jaxgan.parallel.mesh import make_mesh
from jaxgan.parallel.runners import JitRunner, PmapRunner
from jaxgan.reporting.progress import Progress
from jaxgan.reporting.writer import Writer
from jaxgan.stability.watch import Watch
from jaxgan.training.feed import make_play
from jaxgan.training.loop import Intervals, Loop
from jaxgan.training.optimizers import make_optimizer
from jaxgan.training.state import init_state
from jaxgan.training.step import make_train_step

placement.SMALL = 4  # elements, so that the arrays of this game are large enough to be split

TASK = make_task()
OPTIMIZERS = dict.fromkeys(TASK.players, make_optimizer({"name": "adam", "learning_rate": 1e-2}))
RUNNERS = {"one": (JitRunner, 1, 1), "fsdp": (JitRunner, 2, 2), "pmap": (PmapRunner, 2, 1)}


class Shuffled:
    """A pipeline of 50 random images that records which were played."""

    cache, arrays = "host", None

    def __init__(self):
        self.played = []

    def batches(self, position, batch_size, rows):
        images = np.random.default_rng(0).integers(0, 256, (50, 2, 2, 1), np.uint8)
        while True:
            indices = Order(50, seed=3).indices(position, batch_size)[rows]
            self.played.extend(indices.tolist())
            yield {"image": images[indices]}
            position += batch_size


def init():
    return init_state(TASK, OPTIMIZERS, jax.random.key(7), make_batch())


def make_runner(name):
    kind, devices, fsdp = RUNNERS[name]
    step = make_train_step(TASK, OPTIMIZERS, images=BATCH)
    play = make_play(step, picture_fields(2, 2, 1), jax.random.key(0))
    return kind(play, make_mesh({"data": -1, "fsdp": fsdp}, jax.devices()[:devices]))


def play(folder, runner, steps):
    """Plays up to a step; returns the images played."""
    pipeline = Shuffled()
    with Checkpoints(folder / "checkpoints") as checkpoints, Writer(folder, tensorboard=False) as writer:
        status = Loop(
            phases=TASK.phases(),
            runner=make_runner(runner),
            pipeline=pipeline,
            checkpoints=checkpoints,
            writer=writer,
            progress=Progress(steps * BATCH, enabled=False),
            watch=Watch(WatchConfig()),
            init=init,
            evaluate=lambda state, images, due: {},
            show_samples=lambda state, images: None,
            intervals=Intervals(images=steps * BATCH, log=1, samples=None, evaluation={}, checkpoint=None),
            batch_size=BATCH,
        ).run()
    assert status == 0
    return pipeline.played


def restored(folder, runner):
    """The newest state, placed by the runner."""
    with Checkpoints(folder / "checkpoints") as checkpoints:
        return checkpoints.restore_latest(make_runner(runner).place(jax.eval_shape(init))).state


def flat(state):
    return np.concatenate([np.asarray(leaf).ravel().view(np.uint8) for leaf in jax.tree.leaves(state)])


def params(state):
    return np.concatenate([np.asarray(leaf).ravel() for leaf in jax.tree.leaves(state.params)])


if __name__ == "__main__":
    assert jax.device_count() == 2
    root, found = pathlib.Path(sys.argv[2]), {}
    order = play(root / "elastic", "one", 4)
    for name in RUNNERS:
        state = restored(root / "elastic", name)
        found[f"at_4/{name}"] = flat(state)
        found[f"split/{name}"] = sum(not leaf.sharding.is_fully_replicated for leaf in jax.tree.leaves(state))
    shutil.copytree(root / "elastic", root / "pmap")

    order += play(root / "elastic", "fsdp", 8)
    found |= {f"at_8/{name}": flat(restored(root / "elastic", name)) for name in RUNNERS}
    order += play(root / "elastic", "one", 12)
    found["params/elastic"], found["order/elastic"] = params(restored(root / "elastic", "one")), np.array(order)

    found["order/unbroken"] = np.array(play(root / "unbroken", "one", 12))
    found["params/unbroken"] = params(restored(root / "unbroken", "one"))

    found["order/pmap"] = np.array(play(root / "pmap", "pmap", 8))
    found |= {f"at_8_of_pmap/{name}": flat(restored(root / "pmap", name)) for name in RUNNERS}
    play(root / "pmap", "fsdp", 12)
    found["params/pmap"] = params(restored(root / "pmap", "one"))
    np.savez(sys.argv[1], **found)
