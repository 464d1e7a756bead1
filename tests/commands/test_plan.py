"""`--mode=plan` with a stand-in for the compiler, and, where it is installed, with the TPU's own."""

import importlib.util
import json

import pytest

from jaxgan.commands.plan import plan, spec_of
from jaxgan.config import DataConfig, RunConfig
from jaxgan.errors import UserError
from jaxgan.main import main
from jaxgan.planning import compiling
from jaxgan.planning.chips import read_topologies
from jaxgan.planning.report import details, table
from jaxgan.planning.roofline import Load
from jaxgan.planning.search import changed, flags, search

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
    told = []
    tables = plan(CONFIG, read_topologies("v5e:2x2,v5e:4x4,v5e:16x16"), measure, told.append)
    assert [(str(row.topology), row.batch) for row in told] == [("v5e:2x2", 64), ("v5e:16x16", 4096), ("v5e:4x4", 64)]
    weak = tables["weak"]
    assert [(row.batch, row.compiled) for row in weak] == [(64, True), (256, False), (4096, True)]
    assert weak[1].load == pytest.approx(
        measure(CONFIG.__class__(**{**vars(CONFIG), "batch_size": 256}), weak[1].topology)
    )
    assert weak[0].images_per_second < weak[1].images_per_second < weak[2].images_per_second
    strong = tables["strong"]
    assert [(row.batch, row.topology.chips) for row in strong] == [(64, 4), (64, 16)]  # 256 do not divide it
    assert strong[1].load.flops == pytest.approx(4e12)
    assert "derived" in table(weak)[3]
    assert all(line.count("|") == table(weak)[0].count("|") for line in table(weak))
    assert weak[0].largest_batch == 30  # 4 GB and 0.4 GB an image, in 16


@pytest.mark.quick
def test_what_does_not_fit_is_told():
    (slice_,) = read_topologies("v5e:2x2")
    large = CONFIG.__class__(**{**vars(CONFIG), "batch_size": 4096})
    (row,) = plan(large, [slice_], measure, lambda row: None)["weak"]
    assert "DOES NOT FIT" in "\n".join(details(row))


@pytest.mark.quick
def test_a_batch_that_does_not_divide_is_refused():
    odd = CONFIG.__class__(**{**vars(CONFIG), "batch_size": 63})
    with pytest.raises(UserError, match="multiples of 4"):
        plan(odd, read_topologies("v5e:2x2"), measure, lambda row: None)


def held(config, topology, limit):
    """Half the temporaries with each step of rematerialisation, a tenth more work; fsdp shares the state and sends."""
    step = ("none", "elementwise", "full").index(config.remat)
    shards = config.parallel.mesh["fsdp"]
    peak = 8e9 / shards + 20e9 / 2**step / config.microbatches
    return Load(1e13 * 1.1**step, 1e9, 1e9 * shards, 1.0, 8e9 / shards, 0.0, 0.0, 0.0, peak)


@pytest.mark.quick
def test_a_search_takes_the_fastest_that_fits():
    told = []
    change, row = search(CONFIG, read_topologies("v5e:4x4")[0], held, told.append)
    assert row.fits
    # 28 and 18 GB do not fit without fsdp, 13 do; over 4 and 16 chips the second does, with less work
    assert change == {"parallel.mesh": {"data": 4, "fsdp": 4}, "microbatches": 1, "remat": "elementwise"}
    assert sum("best so far" in line for line in told) == 2
    assert flags(change) == (
        "--config.microbatches=1 --config.remat=elementwise --config.parallel.mesh.data=4 --config.parallel.mesh.fsdp=4"
    )
    assert changed(CONFIG, change).parallel.mesh == {"data": 4, "fsdp": 4}


@pytest.mark.quick
def test_a_search_stops_at_its_limit_and_goes_on_after_a_refusal():
    (slice_,) = read_topologies("v5e:2x2")
    assert search(CONFIG, slice_, held, lambda line: None, limit=0.0) is None

    def refusing(config, topology, limit):
        if config.remat == "none":
            raise UserError("Ran out of memory")
        return held(config, topology, limit)

    told = []
    assert search(CONFIG, slice_, refusing, told.append) is not None
    assert "Ran out of memory" in told[0]


@pytest.mark.quick
def test_a_search_is_of_one_slice(capsys):
    call = ["--mode=plan", "--config=configs/dcgan_mnist.py", "--topology=v5e:2x2,v5e:4x4"]
    assert main([*call, "--plan.search=true"]) == 2
    assert "accepted is one" in capsys.readouterr().err
    assert main([*call, "--plan.search=perhaps"]) == 2


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
