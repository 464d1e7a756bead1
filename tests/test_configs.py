"""Every config in configs/ builds, and its initial state and each of its due-sets have shapes."""

import dataclasses
import inspect
import pathlib
import runpy

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.building.assemble import fill_in, make_task
from jaxgan.building.builder import check_sections
from jaxgan.building.parts import make_init, make_optimizers, make_step, root_key
from jaxgan.config.overrides import load_config
from jaxgan.config.run import to_json
from jaxgan.data.sources import DataSpec
from jaxgan.errors import UserError
from jaxgan.fields import picture_fields
from jaxgan.schedules import at
from jaxgan.training.batches import example_batch
from jaxgan.training.ema import STATISTICS
from jaxgan.training.step import due_phases

CONFIGS = sorted((pathlib.Path(__file__).parent.parent / "configs").glob("*.py"))
VARIANTS = {  # what a config takes beside its default, and whether its game is another than the default's
    "stacked_mnist": {"relativistic": True},
    "vsr_clips": {"tecogan": True, "alone": False},
    "vdenoise_clips": {"alone": False},
    "vinpaint_clips": {"alone": False},
    "video_digits": {"frames": True},
    "stylegan2": {"cifar": True, "paper256": False, "paper512": False, "paper1024": False},
}
STYLEGAN2 = ("", ":paper256", ":paper512", ":paper1024")  # the presets that are regularized alike
LARGE = (  # also if tiny
    *("biggan", "msg_fashion", "progan", "r3gan_cifar10", "stylegan2", "stylegan2_fashion"),
    *("stylegan_v", "r3gan_video", "mocogan_digits", "vinpaint_clips"),
)
COPIED = ("constants", "growth")  # collections of which the average has what the live network has
NAMES = tuple(str(number) for number in range(10))


def spec_of(config, native=28):
    """A data set of the config's resolution, as if it were prepared."""
    size = config.data.resolution or native
    channels = config.data.channels or (3 if config.data.crops else 1)  # what is cropped are photographs
    fields = picture_fields(size, size, channels, NAMES, frames=config.data.frames)
    return DataSpec("stand-in", "train", 1000, fields, "0" * 16)


def label_of(path):
    """`stylegan2` or `stylegan2:cifar`."""
    return str(path).rpartition("/")[2].replace(".py", "")


@pytest.mark.parametrize("path", CONFIGS, ids=label_of)
def test_a_config_builds(path):
    config = load_config(str(path))
    check_sections(config)
    make_task(fill_in(config, spec_of(config)))


@pytest.mark.parametrize(
    "tiny", [pytest.param(False, marks=pytest.mark.slow, id="full"), pytest.param(True, id="tiny")]
)
@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=pytest.mark.slow) if path.stem in LARGE else path for path in CONFIGS],
    ids=label_of,
)
def test_every_due_set_of_a_config_has_shapes(path, tiny):
    check_shapes(load_config(str(path), {"tiny": str(tiny)}), due_sets_of)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "another"),
    [(f"{path}:{name}", own) for path in CONFIGS for name, own in VARIANTS.get(path.stem, {}).items()],
    ids=lambda value: "" if isinstance(value, bool) else label_of(value),
)
def test_a_variant_builds_and_its_fullest_round_has_shapes(path, another):
    def fullest(config, phases):
        return [max(due_sets_of(config, phases), key=len)] if another else []

    check_shapes(load_config(path), fullest)


def due_sets_of(config, phases):
    """The different rounds of a run."""
    starts = {phase.start for phase in phases}
    return {due_phases(phases, number, start + number * config.batch_size) for start in starts for number in range(32)}


def check_shapes(config, choose):
    """The initial state and each round that `choose(config, phases)` gives keep their shapes."""
    check_sections(config)
    spec = spec_of(config)
    config = fill_in(config, spec)
    task = make_task(config)
    optimizers = make_optimizers(config, task)
    state = jax.eval_shape(make_init(config, task, optimizers, spec))
    collections = {kind for variables in state.ema_variables.values() for kind in variables}
    assert collections <= {*STATISTICS, *COPIED}  # a new one is to be decided on
    step, batch = make_step(config, task, optimizers), example_batch(spec.fields, rows=2 * config.microbatches)
    for due in choose(config, task.phases()):
        after, metrics = jax.eval_shape(lambda s, b, due=due: step(s, b, root_key(config), due), state, batch)
        assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), after) == jax.tree.map(
            lambda leaf: (leaf.shape, leaf.dtype), state
        )
        assert {leaf.shape for leaf in metrics.values()} == {()}


LAZY = {  # players with lazy penalties, and the share of their steps that is not for these
    "quickstart": {"discriminator": 4 / 5},  # two, every eighth step
    "video_digits": {"discriminator": 4 / 5},
    "video_digits:frames": {"discriminator": 4 / 5},
    "stylegan_v": {"discriminator": 16 / 17},
    "msg_fashion": {"discriminator": 16 / 17},
    "stylegan2_fashion": {"discriminator": 16 / 17},
    **{f"stylegan2{preset}": {"discriminator": 16 / 17, "generator": 4 / 5} for preset in STYLEGAN2},
    "stylegan2:cifar": {"discriminator": 16 / 17},
}


@pytest.mark.parametrize(
    "path",
    [*map(str, CONFIGS), *(f"{path}:{name}" for path in CONFIGS for name in VARIANTS.get(path.stem, {}))],
    ids=label_of,
)
def test_the_first_update_of_every_stage_has_the_rate_that_the_config_names(path):
    """Adam's first step is the learning rate, whatever the gradient (Kingma & Ba 2015, section 2.1)."""
    config = load_config(path)
    config = fill_in(config, spec_of(config))
    task = make_task(config)
    phases, optimizers = task.phases(), make_optimizers(config, task)
    for player, start in {(phase.player, phase.start) for phase in phases}:
        optimizer, section = optimizers[player](jnp.int32(start), jnp.int32(0)), config.optimizers[player]
        assert section["name"] in ("adam", "adamw")
        params = {"w": jnp.float32(0.0)}
        updates, _ = optimizer.update({"w": jnp.float32(1.0)}, optimizer.init(params), params)
        rate = at(section["learning_rate"], jnp.int32(start)) * LAZY.get(label_of(path), {}).get(player, 1.0)
        np.testing.assert_allclose(updates["w"], -rate, rtol=1e-5)


@pytest.mark.parametrize("path", CONFIGS, ids=label_of)
def test_every_argument_of_a_config_is_tried_and_others_are_refused(path):
    get_config = runpy.run_path(str(path))["get_config"]
    takes = inspect.signature(get_config).parameters
    assert bool(takes) == (path.stem in VARIANTS)
    if takes:
        with pytest.raises(UserError, match="expected") as refusal:
            load_config(f"{path}:no_such_variant")
        listed = str(refusal.value).partition("expected one of ")[2]
        (default,) = (each.default for each in takes.values())
        assert set(listed.split(", ")) == {default, *VARIANTS[path.stem]}


@pytest.mark.parametrize("path", CONFIGS, ids=label_of)
def test_a_config_says_how_to_run_it_and_can_be_saved(path):
    assert f"--config configs/{path.name}" in path.read_text()
    config = load_config(str(path))
    assert to_json(dataclasses.replace(config)) == to_json(config)
