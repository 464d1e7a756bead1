"""`--mode=plan` with a stand-in for the compiler, and, where it is installed, with the TPU's own."""

import importlib.util
import json
import subprocess
import sys

import pytest

from jaxgan.commands import plan as command
from jaxgan.commands.plan import plan, spec_of
from jaxgan.config.run import DataConfig, RunConfig
from jaxgan.errors import UserError
from jaxgan.fields import picture_fields, pixel_field
from jaxgan.main import main
from jaxgan.planning import compiling
from jaxgan.planning.chips import read_topologies
from jaxgan.planning.report import Refused, decoding, details, table, to_tree
from jaxgan.planning.roofline import Load
from jaxgan.planning.search import changed, flags, search

CONFIG = RunConfig(
    networks={
        "generator": {"name": "dcgan.Generator"},
        "discriminator": {"name": "dcgan.Discriminator"},
    },
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
    return Load(1e12 * images, 1e9, sent, 10.0, 0.0, 1e9, 2e9, 1e9, 4e8 * images, 4e9 + 4e8 * images)


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
def test_clips_that_a_host_must_decode_are_told():
    rows = plan(CONFIG, read_topologies("v5e:2x2,v5e:4x4,v5e:1x1"), measure, lambda row: None)["weak"]
    one, four, sixteen = (decoding(row, 16) for row in rows)
    assert one == [
        f"  decoding         up to {rows[0].images_per_second:,.0f} clips/s of 16 frames on a host of 1 chip, "
        "unless they are preloaded"
    ]
    assert f"up to {rows[1].images_per_second:,.0f} clips/s of 16 frames on a host of 4 chips" in four[0]
    assert f"up to {rows[2].images_per_second / 4:,.0f} clips/s of 16 frames on a host of 4 chips" in sixteen[0]
    assert decoding(rows[0], 1) == []
    assert f"at most {rows[0].images_per_second:,.0f} clips/s" in "\n".join(details(rows[0], 16))
    assert "| clips/s |" in table(rows, 16)[0]
    assert "| images/s |" in table(rows)[0]
    data = DataConfig("anything", resolution=32, channels=1, frames=16)
    assert spec_of(RunConfig(data=data)).image == pixel_field(32, 32, 1, frames=16)  # nothing is opened


@pytest.mark.quick
def test_what_does_not_compile_is_a_row_and_the_others_go_on():
    def refusing(config, topology):
        if topology.chips == 16:
            raise UserError("Ran out of memory")
        return measure(config, topology)

    told = []
    rows = plan(CONFIG, read_topologies("v5e:2x2,v5e:4x2,v5e:4x4,v6e:2x2"), refusing, told.append)["weak"]
    assert [isinstance(row, Refused) for row in rows] == [False, True, True, False]
    assert [row.why for row in rows[1:3]] == ["not tried: it is derived from v5e:4x4", "Ran out of memory"]
    assert details(rows[2]) == ["v5e:4x4, batch 256 (16 a chip), does not compile", "  Ran out of memory"]
    assert "| no |" in table(rows)[4]
    assert len({line.count("|") for line in table(rows)}) == 1
    tree = to_tree(rows[2])
    assert (tree["fits"], tree["refused"]) == (False, "Ran out of memory")


@pytest.mark.quick
def test_the_file_is_written_after_each_row(monkeypatch, tmp_path, capsys):
    """With what it was made with; 1 where a slice does not compile."""
    output, found = tmp_path / "plan.json", []

    def compiled(config, spec, topology, cache, *, within, allow):
        found.append(json.loads(output.read_text()) if output.exists() else None)
        if topology.chips == 16 and config.batch_size == 64:
            raise UserError("took longer than 1200 s")
        return topology

    monkeypatch.setattr(command, "check_compiler", lambda: None)
    monkeypatch.setattr(command, "compile_step", compiled)
    monkeypatch.setattr(command, "mean_load", lambda topology: measure(CONFIG, topology))
    monkeypatch.setattr(command.importlib.metadata, "version", lambda name: f"of {name}")
    call = ["--mode=plan", "--topology=v5e:2x2,v5e:4x4", "--config=configs/dcgan_mnist.py", f"--output={output}"]
    call += ["--config.data.resolution=16", "--config.data.channels=1", "--config.batch_size=64"]
    assert main(call) == 1
    assert found[0] is None
    assert [len(each["rows"]) for each in found[1:]] == [1, 2]
    written = json.loads(output.read_text())
    assert (written["jax"], written["libtpu"], len(written["date"])) == ("of jax", "of libtpu", 10)
    assert written["strong"][1]["refused"] == "took longer than 1200 s"
    row = written["weak"][0]
    assert row["images_per_second_a_chip"] == row["images_per_second"] / 4
    assert "does not compile" in capsys.readouterr().out


@pytest.mark.quick
def test_a_batch_that_does_not_divide_is_refused():
    odd = CONFIG.__class__(**{**vars(CONFIG), "batch_size": 63})
    with pytest.raises(UserError, match="a multiple of 4"):
        plan(odd, read_topologies("v5e:2x2"), measure, lambda row: None)


def held(config, topology, within):
    """Half the temporaries with each step of rematerialisation, a tenth more work; fsdp shares the state and sends."""
    step = ("none", "elementwise", "full").index(config.remat)
    shards = config.parallel.mesh["fsdp"]
    state, temporaries = 8e9 / shards, 20e9 / 2**step / config.microbatches
    flops = 1e13 * 1.1**step
    return Load(flops, 1e9, 1e9 * shards, 1.0, 0.0, state, 0.0, 0.0, temporaries, state + temporaries)


V5E = read_topologies("v5e:2x2")[0]


@pytest.mark.quick
def test_a_search_takes_the_fastest_that_fits():
    told = []
    change, row = search(CONFIG, read_topologies("v5e:4x4")[0], held, told.append)
    # nothing fits without recomputing or accumulating; the second of these computes nothing twice
    assert change == {"parallel.mesh": {"data": 8, "fsdp": 2}, "microbatches": 2, "remat": "none"}
    assert (row.fits, row.roof.bound) == (True, "compute")
    assert sum("best so far" in line for line in told) == 2
    assert flags(change) == (
        "--config.microbatches=2 --config.remat=none --config.parallel.mesh.data=8 --config.parallel.mesh.fsdp=2"
    )
    assert changed(CONFIG, change).parallel.mesh == {"data": 8, "fsdp": 2}
    assert "microbatches 2, remat none" in told[-1]  # bound by what cannot be less: nothing after it is tried


@pytest.mark.quick
def test_a_search_goes_on_where_a_step_that_fits_is_bound_by_memory():
    """Rematerialisation that saves traffic is faster than the plain step, which fits."""

    def traffic(config, topology, within):
        share = {"none": 1.0, "elementwise": 0.5, "full": 0.8}[config.remat]
        return held(config, topology, within)._replace(bytes=1e12 * share, peak=1e9)

    told = []
    change, _ = search(CONFIG, V5E, traffic, told.append)
    assert change["remat"] == "elementwise"
    assert len(told) == 3 * 4 * 3  # meshes, microbatches, remat


@pytest.mark.quick
def test_a_mesh_whose_state_is_too_large_is_left_out():
    def large(config, topology, within):
        return held(config, topology, within)._replace(params=40e9 / config.parallel.mesh["fsdp"], peak=40e9)

    told = []
    assert search(CONFIG, V5E, large, told.append) is None
    plain = [line for line in told if "microbatches 1, remat none" in line]
    assert len(plain) == 3
    assert sum("fsdp 4" in line for line in told) == 12
    assert sum("fsdp 1," in line or "fsdp 2," in line for line in told) == 2


@pytest.mark.quick
def test_a_search_stops_at_its_limit_and_goes_on_after_a_refusal():
    assert search(CONFIG, V5E, held, lambda line: None, limit=0.0) is None

    def refusing(config, topology, within):
        if config.remat == "none":
            raise UserError("Ran out of memory")
        return held(config, topology, within)

    told = []
    assert search(CONFIG, V5E, refusing, told.append) is not None
    assert "Ran out of memory" in told[0]


@pytest.mark.quick
def test_a_search_is_of_one_slice(capsys):
    call = ["--mode=plan", "--config=configs/dcgan_mnist.py", "--topology=v5e:2x2,v5e:4x4"]
    assert main([*call, "--plan.search=true"]) == 2
    assert "expected one" in capsys.readouterr().err
    assert main([*call, "--plan.search=perhaps"]) == 2


@pytest.mark.quick
def test_data_that_the_config_describes_is_not_opened():
    spec = spec_of(CONFIG)
    assert spec.fields == picture_fields(8, 8, 3)


@pytest.mark.quick
def test_without_the_compiler_one_line_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(compiling.importlib.util, "find_spec", lambda name: None)
    call = ["--mode=plan", "--topology=v5e:2x2", "--config=configs/dcgan_mnist.py"]
    assert main(call) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert "[plan]" in said
    assert main(["--mode=plan", "--config=configs/dcgan_mnist.py"]) == 2
    assert "--topology is missing" in capsys.readouterr().err


@pytest.mark.slow
def test_an_impossible_slice_is_known_without_jax():
    """Where it is, libtpu took half a minute to say so."""
    code = (
        "import sys; from jaxgan.main import main\n"
        "status = main(['--mode=plan', '--topology=v5e:3x3', '--config=configs/dcgan_mnist.py'])\n"
        "print(status, 'jax' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr.count("\n")) == ("2 False\n", 1)
    assert "expected one of 1x1, 2x2, " in done.stderr


@pytest.mark.skipif(importlib.util.find_spec("libtpu") is None, reason="libtpu is not installed: the extra [plan]")
@pytest.mark.parametrize("topology", ["v5e:2x2", "v6e:1x1"])
def test_a_plan_of_a_small_config(tmp_path, monkeypatch, capsys, topology):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
    call = ["--mode=plan", f"--topology={topology}", "--config=configs/dcgan_mnist.py", "--config.tiny=true"]
    call += ["--config.data.resolution=16", "--config.data.channels=1", f"--output={tmp_path / 'plan.json'}"]
    assert main(call) == 0
    assert f"{topology}, batch" in capsys.readouterr().out
    (row,) = json.loads((tmp_path / "plan.json").read_text())["weak"]
    assert row["fits"]
    assert (row["load"]["sent"] > 0) == (topology == "v5e:2x2")
    assert len(list((tmp_path / "jaxgan" / "plans").glob("*.json"))) == 1
