"""Every config in configs/ builds, and its initial state and each of its due-sets have shapes."""

import dataclasses
import pathlib

import jax
import pytest

from jaxgan.assemble import fill_in, make_task
from jaxgan.builder import check_sections
from jaxgan.config import to_json
from jaxgan.data.sources import DataSpec
from jaxgan.overrides import load_config
from jaxgan.training.parts import example_batch, make_init, make_optimizers, make_step, root_key
from jaxgan.training.step import due_phases

CONFIGS = sorted((pathlib.Path(__file__).parent.parent / "configs").glob("*.py"))
NAMES = tuple(str(number) for number in range(10))


def spec_of(config, native=28):
    """A data set of the config's resolution, as if it were prepared."""
    size = config.data.resolution or native
    channels = config.data.channels or (3 if config.data.crops else 1)  # what is cropped are photographs
    return DataSpec("stand-in", "train", 1000, size, size, channels, 10, NAMES, "0" * 16)


@pytest.mark.parametrize("tiny", [False, True], ids=["full", "tiny"])
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_config_builds_and_every_due_set_has_shapes(path, tiny):
    config = load_config(str(path), {"tiny": str(tiny)})
    check_sections(config)
    spec = spec_of(config)
    config = fill_in(config, spec)
    task = make_task(config)
    optimizers = make_optimizers(config, task)
    state = jax.eval_shape(make_init(config, task, optimizers, spec))
    step, batch = make_step(config, task, optimizers), example_batch(spec, rows=2 * config.microbatches)
    starts = {phase.start for phase in task.phases()}
    due_sets = {
        due_phases(task.phases(), number, start + number * config.batch_size)
        for start in starts
        for number in range(32)
    }
    for due in due_sets:
        after, metrics = jax.eval_shape(lambda s, b, due=due: step(s, b, root_key(config), due), state, batch)
        assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), after) == jax.tree.map(
            lambda leaf: (leaf.shape, leaf.dtype), state
        )
        assert {leaf.shape for leaf in metrics.values()} == {()}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_config_says_how_to_run_it_and_can_be_saved(path):
    assert f"--config configs/{path.name}" in path.read_text()
    config = load_config(str(path))
    assert to_json(dataclasses.replace(config)) == to_json(config)
