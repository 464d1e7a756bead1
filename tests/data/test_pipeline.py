"""Batches: equal for every cache, read by rows, from any position."""

from __future__ import annotations

import dataclasses
import itertools
import logging
import threading
import time
from unittest import mock

import numpy as np
import pytest

from jaxgan.building.pipelines import make_pipeline
from jaxgan.config.run import DataConfig
from jaxgan.data.sources import DataSpec
from jaxgan.errors import UserError
from jaxgan.evaluators.labels import count_labels
from jaxgan.fields import picture_fields


def take(pipeline, count, position=0, batch_size=64, rows=slice(None)):
    return list(itertools.islice(pipeline.batches(position, batch_size, rows), count))


def look_up(pipeline, batches):
    if pipeline.cache != "device":
        return batches
    assert all(set(batch) == {"index"} and batch["index"].dtype == np.int32 for batch in batches)
    return [{k: v[batch["index"]] for k, v in pipeline.arrays.items()} for batch in batches]


@pytest.fixture(params=["tfds", "folder"])
def config(request, digits_config, data_config, tmp_path, draw):
    if request.param == "tfds":
        return lambda **changes: digits_config(split="train[:300]", **changes)
    for name in ("a", "b"):
        for number in range(40):
            draw(tmp_path / name / f"{number}.png")
    return lambda **changes: data_config(tmp_path, **changes)


def test_batches_of_all_caches_are_equal(config):
    pipelines = [make_pipeline(config(cache=cache), seed=5) for cache in ("device", "host", "stream")]
    assert [p.cache for p in pipelines] == ["device", "host", "stream"]
    assert pipelines[2].arrays is None
    # across the end of an epoch, and from its middle
    runs = [look_up(p, take(p, 8, position=position)) for p in pipelines for position in (0, 130)]
    for first, second in (*zip(runs[:2], runs[2:4]), *zip(runs[:2], runs[4:])):
        for one, other in zip(first, second, strict=True):
            assert set(one) == set(other) == {"image", "label"}
            for field in one:
                assert one[field].dtype == other[field].dtype
                np.testing.assert_array_equal(one[field], other[field])


@pytest.mark.parametrize("cache", ["device", "host", "stream"])
def test_rows_of_processes_make_up_the_batch(config, cache):
    pipeline = make_pipeline(config(cache=cache), seed=0)
    whole = take(pipeline, 3, position=64)
    parts = [take(pipeline, 3, position=64, rows=slice(at, at + 16)) for at in range(0, 64, 16)]
    for number in range(3):
        for field, array in whole[number].items():
            together = np.concatenate([part[number][field] for part in parts])
            np.testing.assert_array_equal(together, array)


def test_resuming_at_a_position_goes_on(config):
    pipeline = make_pipeline(config(cache="stream"), seed=1)
    going, resumed = take(pipeline, 4, batch_size=8), take(pipeline, 2, position=16, batch_size=8)
    for one, other in zip(going[2:], resumed, strict=True):
        np.testing.assert_array_equal(one["image"], other["image"])


def test_streaming_reads_only_its_own_rows(config):
    class Watched:
        def __init__(self, source):
            self.spec, self._source, self.seen = source.spec, source, []

        def read(self, indices):
            self.seen.append(len(indices))
            return self._source.read(indices)

    pipeline = make_pipeline(config(cache="stream"), seed=0)
    watched = Watched(pipeline.source)
    take(type(pipeline)(pipeline.spec, "stream", None, watched, pipeline.order), 2, rows=slice(16, 32))
    assert set(watched.seen) == {16}


@pytest.mark.parametrize("cache", ["device", "host", "stream"])
def test_batches_are_made_ahead_of_the_training_and_not_by_its_thread(config, cache):
    class Watched:
        def __init__(self, order):
            self._order, self.threads, self.positions = order, set(), set()

        def indices(self, position, count):
            self.threads.add(threading.get_ident())
            self.positions.add(position)
            return self._order.indices(position, count)

    pipeline = make_pipeline(config(cache=cache), seed=0)
    watched = Watched(pipeline.order)
    going = dataclasses.replace(pipeline, order=watched).batches(0, 8, slice(0, 8))
    next(going)
    deadline = time.monotonic() + 30
    while not {8, 16} <= watched.positions and time.monotonic() < deadline:
        time.sleep(0.01)
    assert {0, 8, 16} <= watched.positions
    assert threading.get_ident() not in watched.threads


def test_auto_preloads_what_fits(config, caplog):
    size = sum(array.nbytes for array in make_pipeline(config(), seed=0).arrays.values())
    assert make_pipeline(config(cache_bytes=size), seed=0).cache == "device"
    assert make_pipeline(config(cache_bytes=size - 1), seed=0).cache == "stream"
    with caplog.at_level(logging.WARNING):
        assert make_pipeline(config(cache_bytes=1, cache="host"), seed=0).cache == "host"
    assert "cache_bytes" in caplog.text


def test_unknown_cache(config):
    with pytest.raises(UserError, match="expected one of auto, device, host, stream"):
        make_pipeline(config(cache="disk"), seed=0)


def test_examples_without_a_label_are_not_counted(caplog, tmp_path):
    class Unlabelled:  # some data sets use -1 for a missing label
        spec = DataSpec("unlabelled", "train", 4, picture_fields(2, 2, 1, ("a", "b", "c")), "f" * 8)

        def read(self, indices):
            images = np.zeros((len(indices), 2, 2, 1), np.uint8)
            return {"image": images, "label": np.asarray([-1, 0, 2, -1], np.int32)[indices]}

    with mock.patch("jaxgan.building.pipelines.open_source", return_value=Unlabelled()):
        make_pipeline(DataConfig("unlabelled"), seed=0)
    assert "cannot be learned: 1 of 3: b" in caplog.text
    assert count_labels(Unlabelled(), cache_dir=str(tmp_path), seed=0).tolist() == [1, 0, 1]
