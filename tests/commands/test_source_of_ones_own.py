"""`config.data.source`: a constructor of jaxgan's, or of a package beside it, that gives the examples."""

import json

import numpy as np
import pytest

from jaxgan.building.opening import open_pictures, open_source
from jaxgan.building.pipelines import make_pipeline
from jaxgan.config.overrides import resolve
from jaxgan.config.run import DataConfig
from jaxgan.errors import FINISHED, MISTAKE, UserError
from jaxgan.main import main

SOURCE = '''
"""Stripes, brighter from one to the next."""

import numpy as np

from jaxgan.config.run import DataConfig
from jaxgan.data.sources import DataSpec
from jaxgan.config.domains import Count, Given
from jaxgan.fields import picture_fields


class Stripes:
    spec: DataSpec

    def __init__(self, split: Given[str], config: Given[DataConfig], count: Count, wide: Count = 2):
        self.side, self.wide = config.resolution or 16, wide
        self.spec = DataSpec("stripes", split, count, picture_fields(self.side, self.side, 1), "1")

    def read(self, indices):
        light = np.asarray(indices)[:, None] * (np.arange(self.side) // self.wide % 2)
        rows = np.repeat(light[:, None], self.side, axis=1)
        return {"image": rows[..., None].astype("uint8")}


class Empty(Stripes):
    def __init__(self):
        self.spec = DataSpec("empty", "train", 0, picture_fields(8, 8, 1), "1")


class NoSource:
    pass
'''
SMALL = {"images": "16", "batch_size": "8", "plots": "false", "tensorboard": "false", "compilation_cache": "false"}
SMALL |= {"evaluation.features": "patches", "tiny": "true"}
OURS = {"data.source.name": "striped.Stripes", "data.source.count": "64"}


@pytest.fixture(autouse=True)
def package(tmp_path, monkeypatch):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "striped.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))


def train(workdir, changes, *flags):
    changes = [f"--config.{name}={value}" for name, value in {**SMALL, **changes}.items()]
    return main(["--config=configs/vanilla_gan.py", f"--workdir={workdir}", *changes, *flags])


def test_a_source_from_outside_is_trained_on_scored_and_diagnosed(tmp_path, capfd):
    run = tmp_path / "run"
    assert train(run, OURS, "--allow=striped") == FINISHED
    assert main([f"--workdir={run}", "--mode=evaluate", "--allow=striped"]) == FINISHED
    assert main([f"--workdir={run}", "--mode=doctor", "--allow=striped"]) == FINISHED
    flags = ("--mode=sample", "--kind=neighbours", "--count=2", f"--output={tmp_path / 'pairs.png'}")
    assert main([f"--workdir={run}", "--allow=striped", *flags]) == FINISHED
    assert "64 examples of train are trained on" in (run / "log.txt").read_text()
    data = json.loads((run / "config.json").read_text())["config"]["data"]
    assert data["source"] == {"name": "striped.Stripes", "count": 64}
    assert data["name"] == ""
    # a run goes on, and not with other examples
    assert train(run, {**OURS, "images": "24"}, "--allow=striped") == FINISHED
    assert train(run, {**OURS, "data.source.wide": "1"}, "--allow=striped") == MISTAKE
    assert "config.data.source.wide: got 1, but the run in" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("before", "flag", "now"),
    [
        ({"name": "jaxgan_digits"}, "data.source.name", ("", {"name": "x.Y"})),
        ({"source": {"name": "a.B", "size": 3}}, "data.source.name", ("", {"name": "x.Y"})),
        ({"source": {"name": "a.B"}}, "data.name", ("x.Y", {})),
    ],
)
def test_a_flag_that_names_data_takes_the_place_of_the_files(before, flag, now):
    tree = {"task": {"name": "t.T"}, "images": 1, "data": before}
    data = resolve(tree, {flag: "x.Y"}).data
    assert (data.name, data.source) == now


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({**OURS, "data.source.cuont": "3"}, "config.data.source.cuont does not exist; did you mean count?"),
        ({**OURS, "data.source.count": "0"}, "config.data.source.count: got 0, expected 1 or more"),
        ({"data.source.name": "striped.Stripes"}, "config.data.source.count is missing"),
        ({**OURS, "data.source.config": "3"}, "config.data.source.config does not exist"),
        ({"data.source.name": "striped.NoSource"}, "'striped.NoSource' is not a source: it has no read, spec"),
        ({"data.source.name": "procedural.Shape"}, "is not a source; did you mean 'procedural.Shapes'?"),
        ({"data.source.name": "striped.Empty"}, "config.data.source: striped.Empty has DataSpec(name='empty'"),
        ({**OURS, "data.name": "jaxgan_digits"}, "config.data.name and config.data.source: got both"),
    ],
)
def test_a_mistake_in_a_source_is_one_line(changes, told, tmp_path, capsys):
    assert train(tmp_path / "run", changes, "--allow=striped") == MISTAKE
    error = capsys.readouterr().err.strip()
    assert told in error
    assert "\n" not in error
    assert not (tmp_path / "run").exists()


def test_a_package_that_is_not_allowed_gives_no_source(tmp_path, capsys):
    assert train(tmp_path / "run", OURS) == MISTAKE
    assert "config.data.source.name: 'striped.Stripes' is not a source" in capsys.readouterr().err


def test_what_a_source_gives_can_be_cropped_and_preloaded():
    section = {"name": "striped.Stripes", "count": 5}
    pictures = open_pictures(DataConfig(source=section, resolution=8), "train", ("striped",))
    assert pictures.picture(3)["image"].max() == 3
    crops = open_source(DataConfig(source=section, resolution=8, crops=2), "train", ("striped",))
    assert crops.spec.size == 10
    preloaded, streamed = (
        make_pipeline(DataConfig(source=section, cache=cache), seed=0, allow=("striped",)).batches(0, 4, slice(0, 4))
        for cache in ("host", "stream")
    )
    np.testing.assert_array_equal(next(preloaded)["image"], next(streamed)["image"])


def test_shapes_are_the_same_every_time_and_others_in_every_split():
    section = {"name": "procedural.Shapes", "size": 6}
    train, again, test = (open_source(DataConfig(source=section), split) for split in ("train", "train", "test"))
    examples = train.read(range(6))
    np.testing.assert_array_equal(again.read([4])["image"], examples["image"][4:5])
    assert (test.read([4])["image"] != examples["image"][4:5]).any()
    assert examples["label"].tolist() == [0, 1, 0, 1, 0, 1]
    seen = (examples["image"] > 0).any(axis=-1)
    assert seen[:, 0].sum() == 0  # a shape lies inside
    widths = seen.any(axis=1).sum(axis=1)
    shares = seen.sum(axis=(1, 2)) / widths**2
    np.testing.assert_allclose(shares, [np.pi / 4, 1, np.pi / 4, 1, np.pi / 4, 1], atol=0.07)
    with pytest.raises(UserError, match=r"config\.data\.crops is missing"):
        open_source(DataConfig(source=section, condition="left"), "train")
