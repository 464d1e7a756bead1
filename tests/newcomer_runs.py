"""Runs of the newcomers, for their tests."""

import pathlib
from functools import partial

import numpy as np
import orbax.checkpoint as ocp

from jaxgan.main import main

HERE = pathlib.Path(__file__).parent / "newcomers"
QUIET = {"plots": "false", "tensorboard": "false", "compilation_cache": "false"}


def trainer(name, images):
    """`train(workdir, rounds, **changes)` of a newcomer whose rounds have so many images; the exit status."""
    return partial(_train, name, images)


def _train(name, images, workdir, rounds, **changes):
    fields = {**QUIET, "images": str(rounds * images), **changes}
    flags = [f"--config.{field}={value}" for field, value in fields.items()]
    return main([f"--allow={name}", f"--config={HERE / name / 'config.py'}", f"--workdir={workdir}", *flags])


def arrays(workdir, step):
    """All that a checkpoint holds, by item and name."""
    found = {}
    for item in ("state", "ema"):
        with ocp.StandardCheckpointer() as checkpointer:
            for name, array in checkpointer.restore(workdir / "checkpoints" / str(step) / item).items():
                found[f"{item}/{name}"] = np.asarray(array)
    return found
