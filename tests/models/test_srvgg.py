"""SRVGG: its tree, sizes, scales and ranges, resizing by its formula, the receptive field, tiles, a training step."""

import math
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from weighing import applied, drawn

from jaxgan.building.assemble import fill_in, make_task
from jaxgan.building.parts import make_init, make_optimizers, make_step, root_key
from jaxgan.config.overrides import load_config
from jaxgan.data.sources import DataSpec
from jaxgan.errors import UserError
from jaxgan.fields import picture_fields
from jaxgan.inference.tiling import Tiling, tiled
from jaxgan.models import srvgg

KEY = jax.random.key(0)
CONDITION = jax.random.uniform(jax.random.key(1), (2, 6, 5, 3), minval=-1.0)
SMALL = {"convs": 2, "base_width": 4}
SCALES = [(4, None), (3, None), (1, None), (3, 4), (2, 4), (1, 4), (2, 3)]  # with what the network itself enlarges by


def shapes(network, size, channels):
    x = jax.ShapeDtypeStruct((2, *size, channels), jnp.float32)
    return jax.eval_shape(lambda x: network.init_with_output(KEY, x, train=False), x)


def repeated(x, factor):
    return np.asarray(x).repeat(factor, axis=1).repeat(factor, axis=2)


def tree_of(network, channels=3):
    flat = jax.tree_util.tree_leaves_with_path(shapes(network, (8, 8), channels)[1])
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf.shape for path, leaf in flat}


def test_the_tree_and_the_size_of_the_published_network():
    expected = {"params/image/kernel": (3, 3, 6, 3 * 16), "params/image/bias": (48,)}
    for name, inputs in (("stem", 2), ("conv_0", 6), ("conv_1", 6)):
        expected |= {f"params/{name}/kernel": (3, 3, inputs, 6), f"params/{name}/bias": (6,)}
        expected |= {f"params/{name}_prelu/slope": (6,)}
    with pytest.raises(UserError, match="srvgg: got conditions of 2 channels, expected 1 or 3"):
        tree_of(srvgg.Generator(3, 2, 4, convs=2, base_width=6), 2)
    for scale, upscale in ((4, None), (2, 4)):
        two = tree_of(srvgg.Generator(1, scale, upscale, convs=2, base_width=6), 2)
        assert two == expected | {"params/image/kernel": (3, 3, 6, 16), "params/image/bias": (16,)}
    counted = 9 * (3 * 64 + 16 * 64 * 64 + 64 * 48) + 17 * 64 + 48 + 17 * 64
    assert sum(map(math.prod, tree_of(srvgg.Generator(3)).values())) == counted == 621_424


@pytest.mark.parametrize(("scale", "upscale"), SCALES)
def test_any_size_at_every_scale(scale, upscale):
    for size in ((1, 1), (7, 5)):
        image, _ = shapes(srvgg.Generator(3, scale, upscale, **SMALL), size, 4)
        assert image.shape == (2, size[0] * scale, size[1] * scale, 3)
        assert image.dtype == jnp.float32


@pytest.mark.parametrize(("scale", "upscale"), [(0, None), (5, 4), (-1, 4)])
def test_other_scales_are_refused(scale, upscale):
    with pytest.raises(UserError, match=f"srvgg: got scale {scale} with upscale {upscale or 0}, expected"):
        shapes(srvgg.Generator(3, scale, upscale), (4, 4), 3)


def keys_1981(d):
    """The cubic's value at a distance, a = -3/4."""
    a, d = -0.75, abs(d)
    if d < 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a if d < 2 else 0.0


def resized(line, new):
    """Numbers `[n]` at another length: four taps around each place, the outermost number beyond the ends."""
    made = []
    for index in range(new):
        place = (index + 0.5) * len(line) / new - 0.5
        taps = range(math.floor(place) - 1, math.floor(place) + 3)
        made.append(sum(keys_1981(place - tap) * line[min(max(tap, 0), len(line) - 1)] for tap in taps))
    return np.array(made)


RARE = [pytest.param(*each, marks=pytest.mark.slow) for each in ((3, 2), (5, 4), (8, 7))]


@pytest.mark.parametrize(("factor", "scale"), [(4, 2), (4, 3), (4, 1), *RARE])
def test_images_are_made_smaller_by_the_formula(factor, scale):
    for height, width in ((1, 2), (4, 3)):
        x = np.random.default_rng(0).normal(size=(2, factor * height, factor * width, 3))
        rows = np.apply_along_axis(resized, 1, x, scale * height)
        expected = np.apply_along_axis(resized, 2, rows, scale * width)
        ours = srvgg.shrunk(jnp.asarray(x, jnp.float32), factor, scale)
        np.testing.assert_allclose(ours, expected, atol=1e-5)


@pytest.mark.parametrize(("scale", "upscale"), [(4, None), (2, 4)])
def test_at_first_the_condition_is_repeated_with_little_added(scale, upscale):
    network = srvgg.Generator(3, scale, upscale, convs=8)
    image, _ = jax.jit(lambda: network.init_with_output(KEY, CONDITION, train=False))()
    kept = repeated(CONDITION, upscale or scale)
    if upscale:
        kept = np.asarray(srvgg.shrunk(jnp.asarray(kept), upscale, scale))
    assert 0.005 < float((image - kept).std()) < 0.2


def test_masks_are_an_input_and_not_part_of_the_image():
    network = srvgg.Generator(3, 1, **SMALL)
    masked = jnp.concatenate([CONDITION, jnp.ones((2, 6, 5, 1))], axis=-1)
    tree = drawn(network, masked, train=False)
    unmasked = masked.at[..., 3].set(0.0)
    assert float(jnp.abs(applied(network, tree, masked) - applied(network, tree, unmasked)).max()) > 1e-2
    silent = jax.tree.map(jnp.zeros_like, tree)
    np.testing.assert_array_equal(applied(network, silent, masked), CONDITION)


def test_grey_becomes_all_channels():
    network = srvgg.Generator(3, 2, **SMALL)
    grey = CONDITION[..., :1]
    silent = jax.tree.map(jnp.zeros_like, drawn(network, grey, train=False))
    np.testing.assert_array_equal(applied(network, silent, grey), repeated(grey, 2).repeat(3, axis=3))


@pytest.mark.parametrize(("scale", "upscale"), [(4, None), (3, 4)])
def test_a_network_of_the_unit_range_works_between_0_and_1(scale, upscale):
    inner, outer = (srvgg.Generator(3, scale, upscale, unit_range=unit_range, **SMALL) for unit_range in (False, True))
    tree = drawn(inner, CONDITION, train=False)
    expected = 2 * applied(inner, tree, (CONDITION + 1) / 2) - 1
    np.testing.assert_allclose(applied(outer, tree, CONDITION), expected, atol=1e-5)
    assert float(jnp.abs(applied(inner, tree, CONDITION) - expected).max()) > 1e-2


def test_bfloat16_is_computed_in_and_not_kept():
    network = srvgg.Generator(3, dtype=jnp.bfloat16, **SMALL)
    tree = drawn(network, CONDITION, train=False)
    assert {leaf.dtype for leaf in jax.tree.leaves(shapes(network, (4, 4), 3)[1])} == {jnp.dtype(jnp.float32)}
    image = applied(network, tree, CONDITION)
    exact = applied(srvgg.Generator(3, **SMALL), tree, CONDITION)
    assert image.dtype == jnp.float32
    assert 0 < float(jnp.abs(image - exact).max()) < 0.05 * float(jnp.abs(exact).max())


@pytest.mark.parametrize(("scale", "upscale", "field"), [(4, None, 4), (1, 4, 4), (2, 4, 5), (3, 4, 5)])
def test_a_pixel_sees_as_far_as_stated(scale, upscale, field, reach):
    network = srvgg.Generator(1, scale, upscale, **SMALL)
    assert network.receptive_field == field
    assert reach(network, 13, 1) == field


@pytest.mark.parametrize(("scale", "upscale"), [(4, None), (2, 4), (3, 4)])
def test_tiles_give_what_the_whole_picture_gives(scale, upscale):
    network = srvgg.Generator(3, scale, upscale, unit_range=True, **SMALL)
    picture = np.random.default_rng(2).uniform(-1, 1, (41, 33, 3)).astype(np.float32)
    tree = drawn(network, jnp.asarray(picture[None]), train=False)
    apply = jax.jit(lambda tiles: network.apply(tree, tiles, train=False))
    whole = np.asarray(apply(picture[None])[0])
    assert whole.shape == (41 * scale, 33 * scale, 3)
    for field, least, most in ((network.receptive_field, 0.0, 1e-5), (network.receptive_field - 2, 1e-3, 10.0)):
        tiling = Tiling(20, receptive_field=field, multiple=network.multiple)
        assert len(tiling.cut(41).starts) > 1
        assert least <= np.abs(tiled(apply, picture, tiling, scale=scale) - whole).max() < most


def test_a_step_of_training_moves_every_param():
    changes = {
        "tiny": "true",
        "data.flip": "false",
        "networks.generator": "{'name': 'srvgg.Generator', 'scale': 2, 'convs': 1}",
    }
    config = load_config(str(pathlib.Path(__file__).parents[2] / "configs" / "srgan_photos.py"), changes)
    spec = DataSpec("random", "train", 100, picture_fields(16, 16, 3), "0" * 16)
    config = fill_in(config, spec)
    task = make_task(config)
    assert isinstance(task.generator, srvgg.Generator)
    optimizers = make_optimizers(config, task)
    before = jax.jit(make_init(config, task, optimizers, spec))()
    step = jax.jit(make_step(config, task, optimizers), static_argnums=3)
    first = tuple(index for index, phase in enumerate(task.phases()) if phase.start == 0)
    batch = {"image": jax.random.uniform(KEY, (4, 16, 16, 3), minval=-1.0)}
    after, metrics = step(before, batch, root_key(config), first)
    assert all(np.isfinite(value).all() for value in metrics.values()), metrics
    assert int(after.skipped) == 0
    for (path, old), new in zip(
        jax.tree_util.tree_leaves_with_path(before.params["generator"]), jax.tree.leaves(after.params["generator"])
    ):
        assert np.isfinite(new).all()
        assert (old != new).any(), jax.tree_util.keystr(path)
