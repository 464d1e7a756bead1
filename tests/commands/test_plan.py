"""`--mode=plan` with a stand-in for the compiler, and, where it is installed, with the TPU's own."""

import importlib.util
import json

import pytest

from jaxgan.commands.plan import plan, spec_of, text
from jaxgan.config import DataConfig, RunConfig
from jaxgan.errors import UserError
from jaxgan.main import main
from jaxgan.planning import compiling
from jaxgan.planning.chips import read_topologies
from jaxgan.planning.roofline import Load

CONFIG = RunConfig(
    generator={"name": "dcgan.Generator"},
    discriminator={"name": "dcgan.Discriminator"},
    task={"name": "generation.Generation"},
    optimizers={},
    data=DataConfig("none", resolution=8, channels=3),
    batch_size=64,
    images=1,
)


def measure(config, topology):
    """A step whose work is that of its images, and whose sending is that of rings."""
    images = config.batch_size / topology.chips
    sent = 2e9 * (1 - 1 / topology.chips)
    return Load(1e12 * images, 1e9, sent, 10.0, 1e9, 2e9, 1e9, 4e8 * images, 4e9 + 4e8 * images)


@pytest.mark.quick
def test_slices_between_are_derived():
    tables = plan(CONFIG, read_topologies("v5e:2x2,v5e:4x4,v5e:16x16"), measure)
    weak = tables["weak"]
    assert [(row.batch, row.compiled) for row in weak] == [(64, True), (256, False), (4096, True)]
    assert weak[1].load == pytest.approx(
        measure(CONFIG.__class__(**{**vars(CONFIG), "batch_size": 256}), weak[1].topology)
    )
    assert weak[0].images_per_second < weak[1].images_per_second < weak[2].images_per_second
    strong = tables["strong"]
    assert [(row.batch, row.topology.chips) for row in strong] == [(64, 4), (64, 16)]  # 256 do not divide it
    assert strong[1].load.flops == pytest.approx(4e12)
    lines = text(tables)
    assert any("derived" in line for line in lines)
    assert any("DOES NOT FIT" not in line and "fits" in line for line in lines)


@pytest.mark.quick
def test_what_does_not_fit_is_told():
    (slice_,) = read_topologies("v5e:2x2")
    large = CONFIG.__class__(**{**vars(CONFIG), "batch_size": 4096})
    assert "DOES NOT FIT" in "\n".join(text(plan(large, [slice_], measure)))


@pytest.mark.quick
def test_a_batch_that_does_not_divide_is_refused():
    odd = CONFIG.__class__(**{**vars(CONFIG), "batch_size": 63})
    with pytest.raises(UserError, match="multiples of 4"):
        plan(odd, read_topologies("v5e:2x2"), measure)


@pytest.mark.quick
def test_data_that_the_config_describes_is_not_opened():
    spec = spec_of(CONFIG)
    assert (spec.height, spec.channels, spec.num_classes) == (8, 3, 0)


@pytest.mark.quick
def test_without_the_compiler_one_line_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(compiling.importlib.util, "find_spec", lambda name: None)
    call = ["--mode=plan", "--topology=v5e:2x2", "--config=configs/dcgan_mnist.py"]
    assert main(call) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert "[plan]" in said
    assert main(["--mode=plan", "--config=configs/dcgan_mnist.py"]) == 2
    assert "--topology is missing" in capsys.readouterr().err


@pytest.mark.skipif(importlib.util.find_spec("libtpu") is None, reason="libtpu is not installed: the extra [plan]")
def test_a_plan_of_a_small_config(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
    call = ["--mode=plan", "--topology=v5e:2x2", "--config=configs/dcgan_mnist.py", "--config.tiny=true"]
    call += ["--config.data.resolution=16", "--config.data.channels=1", f"--output={tmp_path / 'plan.json'}"]
    assert main(call) == 0
    assert "v5e:2x2, batch" in capsys.readouterr().out
    (row,) = json.loads((tmp_path / "plan.json").read_text())["weak"]
    assert row["fits"]
    assert row["load"]["sent"] > 0
    assert len(list((tmp_path / "jaxgan" / "plans").glob("*.json"))) == 1
