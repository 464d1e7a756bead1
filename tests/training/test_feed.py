"""From a source with fields of its own to the batch that losses see, through all caches."""

import itertools
import re
from typing import Any, NamedTuple
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.building.pipelines import make_pipeline
from jaxgan.config.run import DataConfig
from jaxgan.data.order import Order
from jaxgan.data.pipeline import batches, preloaded
from jaxgan.data.sources import DataSpec
from jaxgan.errors import UserError
from jaxgan.fields import Field, field_of, label_field, nbytes, pixel_field, source_of
from jaxgan.parallel.mesh import make_mesh
from jaxgan.parallel.runners import JitRunner
from jaxgan.training.batches import example_batch, sent_batch
from jaxgan.training.feed import make_play

SIZE, BATCH, START, BATCHES = 37, 8, 30, 3  # across the end of an epoch
FIELDS = {
    "clip": pixel_field(4, 6, 3, frames=5),
    "condition": pixel_field(4, 6, 1),
    "hole": Field((4, 6, 1), "uint8", "mask"),
    "caption": Field((7,), "int32", "tokens", ("a", "cat", "dog")),
    "label": label_field(("still", "moving")),
    "speed": Field((), "float32", "number"),
}
PLANES = ("clip", "condition", "hole")


class Clips:
    """Random clips, each with a picture, a mask, a caption, a label and a number."""

    spec = DataSpec("clips", "train", SIZE, FIELDS, "f" * 16)

    def __init__(self):
        random = np.random.default_rng(0)
        most = {"clip": 256, "condition": 256, "hole": 2, "caption": 3, "label": 2, "speed": 100}
        self.arrays = {
            name: random.integers(0, most[name], (SIZE, *field.shape)).astype(field.dtype)
            for name, field in FIELDS.items()
        }

    def read(self, indices):
        return {name: array[np.asarray(indices)] for name, array in self.arrays.items()}


class Counted(NamedTuple):
    """The part of a state that feeding needs."""

    step: Any


def seen(state, batch, key, due):
    """A step that reports its batch."""
    del key, due
    return Counted(state.step + 1), batch


def play(cache, *, flip):
    """The batches that losses see with a cache, each field `[BATCHES,BATCH,...]`."""
    with mock.patch("jaxgan.building.pipelines.open_source", return_value=Clips()):
        pipeline = make_pipeline(DataConfig("clips", cache=cache), seed=3)
    assert pipeline.cache == cache
    mesh = make_mesh({"data": -1}, jax.devices()[:1])
    runner = JitRunner(make_play(seen, pipeline.spec.fields, jax.random.key(1), flipped=("data",) * flip), mesh)
    held = runner.cache(pipeline.arrays) if cache == "device" else None
    batches = itertools.islice(pipeline.batches(START, BATCH, slice(0, BATCH)), BATCHES)
    state, found = Counted(jnp.int32(0)), []
    for sent in batches:
        state, reported = runner.play(state, held, [sent], [(0,)])
        found.append(jax.device_get(reported))
    return {name: np.concatenate([each[name] for each in found]) for name in found[0]}


def expected():
    """The expected fields, read directly from the source."""
    order = Order(SIZE, 3)
    batches = [Clips().read(order.indices(START + number * BATCH, BATCH)) for number in range(BATCHES)]
    fields = {name: np.stack([batch[name] for batch in batches]) for name in FIELDS}
    return fields | {name: fields[name].astype(np.float32) / 127.5 - 1 for name in ("clip", "condition")}


@pytest.mark.parametrize("cache", ["device", "host", "stream"])
def test_every_field_arrives_in_order_by_its_kind(cache):
    found, wanted = play(cache, flip=False), expected()
    assert set(found) == set(FIELDS)
    for name in FIELDS:
        assert found[name].dtype == wanted[name].dtype
        np.testing.assert_allclose(found[name], wanted[name], atol=1e-6, err_msg=name)


def test_caches_are_equal_and_flips_move_all_planes_and_frames_alike():
    found, wanted = {cache: play(cache, flip=True) for cache in ("device", "host", "stream")}, expected()
    for cache, name in itertools.product(("host", "stream"), FIELDS):
        np.testing.assert_array_equal(found[cache][name], found["device"][name], err_msg=name)
    moved = {}
    for name in PLANES:
        rows, plain = (
            each[name].reshape(BATCH * BATCHES, -1, 4, 6, each[name].shape[-1]) for each in (found["host"], wanted)
        )
        stays, turns = (
            np.abs(rows - each).reshape(len(rows), -1).max(axis=1) < 1e-6 for each in (plain, plain[..., ::-1, :])
        )
        np.testing.assert_array_equal(stays, ~turns)
        moved[name] = turns
    np.testing.assert_array_equal(moved["clip"], moved["condition"])
    np.testing.assert_array_equal(moved["clip"], moved["hole"])
    assert 0 < moved["clip"].sum() < len(moved["clip"])
    for name in FIELDS.keys() - set(PLANES):
        np.testing.assert_allclose(found["host"][name], wanted[name])


@pytest.mark.parametrize("caches", [("device", "stream"), ("host", "device"), ("device", "device")])
def test_further_sources_have_a_cache_an_order_and_flips_of_their_own(caches):
    with mock.patch("jaxgan.building.pipelines.open_source", return_value=Clips()):
        kept = dict(zip(("data", "b"), caches))
        pipelines = {name: make_pipeline(DataConfig("x", cache=c), seed=3, name=name) for name, c in kept.items()}
    spec = {field_of(name, field): FIELDS[field] for name in pipelines for field in FIELDS}
    runner = JitRunner(make_play(seen, spec, jax.random.key(1), flipped=("b",)), make_mesh({"data": 1}))
    held = runner.cache(preloaded(pipelines))
    assert {source_of(name) for name in held} == {name for name, cache in kept.items() if cache == "device"}
    sent = next(batches(pipelines, {"data": START, "b": 5}, BATCH, slice(0, BATCH)))
    found = jax.device_get(runner.play(Counted(jnp.int32(0)), held, [sent], [(0,)])[1])
    for name, start in (("data", START), ("b", 5)):
        wanted = Clips().read(Order(SIZE, 3, name).indices(start, BATCH))
        np.testing.assert_array_equal(found[field_of(name, "label")][0], wanted["label"])
        clip, plain = found[field_of(name, "clip")][0], wanted["clip"] / np.float32(127.5) - 1
        turned = np.abs(clip - plain).reshape(BATCH, -1).max(axis=1) > 1e-6
        np.testing.assert_allclose(
            np.where(turned[:, None, None, None, None], clip[..., ::-1, :], clip), plain, atol=1e-6
        )
        assert turned.any() == (name == "b")


def test_the_declared_shapes_are_those_that_arrive():
    sent, batch, arrived = sent_batch(FIELDS, BATCH), example_batch(FIELDS, BATCH), play("stream", flip=False)
    for name, array in Clips().arrays.items():
        assert (sent[name].shape[1:], sent[name].dtype) == (array.shape[1:], array.dtype)
        assert (batch[name].shape, batch[name].dtype) == (arrived[name].shape[1:], arrived[name].dtype)


def test_auto_preloads_what_fits_with_all_fields():
    size = SIZE * nbytes(FIELDS)
    assert size == sum(array.nbytes for array in Clips().arrays.values())
    with mock.patch("jaxgan.building.pipelines.open_source", return_value=Clips()):
        found = [make_pipeline(DataConfig("clips", cache_bytes=size - less), seed=0).cache for less in (0, 1)]
    assert found == ["device", "stream"]


@pytest.mark.parametrize("cache", ["host", "stream"])
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"speed": np.zeros(SIZE)}, "clips gives float64 [] as 'speed', its spec has number float32"),
        ({"caption": np.zeros((SIZE, 5), np.int32)}, r"gives int32 [5] as 'caption', its spec has tokens int32 [7]"),
        ({"other": np.zeros(SIZE)}, "gives float64 [] as 'other', its spec has no such field"),
        ({"label": None}, "gives nothing as 'label', its spec has label int32 of 2 classes"),
    ],
)
def test_a_source_that_contradicts_its_spec_is_an_error(cache, changed, message):
    source = Clips()
    source.arrays = {name: array for name, array in {**source.arrays, **changed}.items() if array is not None}
    with (
        mock.patch("jaxgan.building.pipelines.open_source", return_value=source),
        pytest.raises(UserError, match=re.escape(message)),
    ):
        next(make_pipeline(DataConfig("clips", cache=cache), seed=3).batches(0, BATCH, slice(0, BATCH)))


def test_fields_that_cannot_be_fed_are_an_error():
    with pytest.raises(UserError, match=r"the data's 'caption' \(tokens int32 \[\?\]\) has an unknown size"):
        example_batch({**FIELDS, "caption": Field((None,), "int32", "tokens")})
    with pytest.raises(UserError, match="expected false for data with a flow, 'motion'"):
        make_play(seen, {"motion": Field((4, 6, 2), "float32", "flow")}, jax.random.key(0), flipped=("data",))
