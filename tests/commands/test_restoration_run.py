"""A restoration in miniature: two stages, resumed across their change, scored, applied between the stages."""

import json
import pathlib
import signal
import subprocess
import sys
import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from benchmarks.kills import final_state
from jaxgan.building.assemble import fill_in, frozen_weights, make_task
from jaxgan.building.initial import make_begin
from jaxgan.building.opening import open_source
from jaxgan.building.parts import make_init, make_optimizers
from jaxgan.checkpoints.on_disk import absolute, read_records, restore_average
from jaxgan.checkpoints.workdir import Workdir
from jaxgan.config.overrides import load_config
from jaxgan.errors import FINISHED, MISTAKE, UserError
from jaxgan.main import main
from jaxgan.models import rrdb, srvgg
from jaxgan.models.pretrained.published import read_weights
from jaxgan.weights.safetensors import write

CONFIG = str(pathlib.Path(__file__).parent.parent.parent / "configs" / "srgan_photos.py")
START, TOTAL = 32, 64  # images, in miniature


def flags_of(path):
    common = ["--config", CONFIG, "--workdir", str(path), "--config.tiny=true", "--config.data.crops=4"]
    return [*common, "--config.plots=false", "--config.tensorboard=false", "--config.data.cache=host"]


def train(path, *flags):
    return main([*flags_of(path), *flags])


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    path = tmp_path_factory.mktemp("restoration") / "unbroken"
    assert train(path) == FINISHED
    return path


def newest(path):
    """Images of the newest checkpoint that is whole; 0 where there is none."""
    records = read_records(absolute(Workdir(str(path)).checkpoints))
    return max((record["images_seen"] for record in records.values()), default=0)


@pytest.mark.slow
def test_a_run_killed_before_the_change_of_stage_goes_on_across_it_bit_for_bit(unbroken, tmp_path):
    path = tmp_path / "broken"
    command = [sys.executable, "-m", "jaxgan.main", *flags_of(path), "--config.checkpoint.every_images=8"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        while newest(path) == 0 and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        told = process.communicate()[0]
    assert process.returncode == -signal.SIGKILL, told
    assert 0 < newest(path) <= START  # the second stage's program takes seconds to compile
    assert train(path) == FINISHED
    one, other = (final_state(str(each)) for each in (unbroken, path))
    for part in ("params/generator", "params/discriminator", "opt_state/generator", "opt_state/discriminator"):
        assert any(f"/{part}/" in name for name in one), part
    assert one.keys() == other.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name)


def first_state(**changes):
    """What `start_from` makes of a state of zeros, once donated as every step does it."""
    config = load_config(CONFIG, {"tiny": "true", **changes})
    spec = open_source(config.data, "train").spec
    config = fill_in(config, spec)
    task = make_task(config)
    begin = make_begin(config, task, read=read_weights, frozen=frozen_weights(config))
    shapes = jax.eval_shape(make_init(config, task, make_optimizers(config, task), spec))
    zeros = jax.tree.map(lambda shape: jnp.array(np.zeros(shape.shape, shape.dtype)), shapes)
    return jax.jit(lambda state: state, donate_argnums=0)(begin(zeros))


def test_a_run_begins_with_another_runs_generator(unbroken, capsys):
    state = first_state(start_from=str(unbroken), **{"networks.generator.residual": "false"})
    source = restore_average(Workdir(str(unbroken)).checkpoints).params["generator"]
    for begun in (state.params["generator"], state.ema_params["generator"]):
        jax.tree.map(np.testing.assert_array_equal, begun, source)
    told = " ".join(capsys.readouterr().err.split())
    assert f"config.networks.generator.residual: got False, but the weights of {unbroken} were made with True" in told


def test_a_run_begins_with_published_weights_on_their_range_only(tmp_path):
    network = rrdb.Generator(channels=3, scale=2, blocks=1, base_width=2, growth=2, unit_range=True)
    random = np.random.default_rng(0)
    shapes = jax.eval_shape(partial(network.init, train=False), jax.random.key(0), jnp.zeros((1, 4, 4, 3)))["params"]
    params = jax.tree.map(lambda shape: random.normal(size=shape.shape).astype(np.float32), shapes)
    file = tmp_path / "published.safetensors"
    write(file, dict(state_dict(params)))
    fields = {"name": "rrdb.Generator", "scale": "2", "blocks": "1", "base_width": "2", "growth": "2"}
    changes = {f"networks.generator.{name}": value for name, value in fields.items()}
    with pytest.raises(
        UserError,
        match=r"config\.networks\.generator\.unit_range: got False.*give --config\.networks\.generator\.unit_range",
    ):
        first_state(start_from=str(file), **changes)
    state = first_state(start_from=str(file), **changes, **{"networks.generator.unit_range": "true"})
    jax.tree.map(np.testing.assert_array_equal, state.params["generator"], params)


def state_dict(params):
    """The tensors of an RRDB of one block by their published names."""
    convs = {"conv_first": params["stem"], "conv_body": params["leave"], "conv_last": params["image"]}
    convs |= {"conv_hr": params["refine"], "conv_up1": params["up_0"], "conv_up2": params["up_1"]}
    for dense, index in np.ndindex(3, 5):
        convs[f"body.0.rdb{dense + 1}.conv{index + 1}"] = params["block_0"][f"dense_{dense}"][f"conv_{index}"]
    for name, conv in convs.items():
        yield f"{name}.weight", conv["kernel"].transpose(3, 2, 0, 1)
        yield f"{name}.bias", conv["bias"]


@pytest.mark.parametrize("upscale", [None, 3])
def test_a_run_begins_with_the_published_network_for_films(upscale, tmp_path):
    network = srvgg.Generator(3, 2, upscale, convs=1, base_width=2, unit_range=True)
    random = np.random.default_rng(0)
    shapes = jax.eval_shape(partial(network.init, train=False), jax.random.key(0), jnp.zeros((1, 4, 4, 3)))["params"]
    params = jax.tree.map(lambda shape: random.normal(size=shape.shape).astype(np.float32), shapes)
    tensors = {}
    for index, name in enumerate(("stem", "stem_prelu", "conv_0", "conv_0_prelu", "image")):
        layer = params[name]
        tensors[f"body.{index}.weight"] = layer["slope"] if "slope" in layer else layer["kernel"].transpose(3, 2, 0, 1)
        tensors |= {f"body.{index}.bias": layer["bias"]} if "bias" in layer else {}
    write(tmp_path / "films.safetensors", tensors)
    section = {"name": "srvgg.Generator", "scale": 2, "upscale": upscale, "convs": 1, "base_width": 2}
    changes = {"networks.generator": repr(section | {"unit_range": True})}
    start = {"start_from": str(tmp_path / "films.safetensors"), **changes}
    if upscale is None:
        jax.tree.map(np.testing.assert_array_equal, first_state(**start).params["generator"], params)
        return
    with pytest.raises(
        UserError, match=r"config\.networks\.generator\.scale: got 2, .*give --config\.networks\.generator\.scale=3"
    ):
        first_state(**start)  # a state dict does not say that its images become smaller


def test_the_checkpoint_at_the_change_is_kept(unbroken):
    records = read_records(Workdir(str(unbroken)).checkpoints)
    assert [record["images_seen"] for record in records.values() if record["keep_forever"]] == [START]


def test_scores_name_the_degradation_and_the_baseline(unbroken):
    report = json.loads((unbroken / "scores.json").read_text())
    assert {"psnr/bicubic_x2", "psnr_std/bicubic_x2", "psnr_bicubic/bicubic_x2"} <= report["scores"].keys()
    assert report["manifest"]["degradation"] == "bicubic_x2"
    assert (unbroken / "samples" / f"{TOTAL:09}.png").exists()


def test_evaluate_gives_the_scores_of_the_end(unbroken, capsys):
    assert main(["--mode=evaluate", "--workdir", str(unbroken)]) == FINISHED
    written = json.loads((unbroken / f"scores-{TOTAL // 8}.json").read_text())
    assert written["images"] == TOTAL
    end = json.loads((unbroken / "scores.json").read_text())["scores"]
    np.testing.assert_allclose(written["scores"]["psnr/bicubic_x2"], end["psnr/bicubic_x2"], rtol=1e-5)
    capsys.readouterr()
    assert main(["--mode=evaluate", "--workdir", str(unbroken), "--path_length=4"]) == MISTAKE
    assert (
        "this model asks for 'condition' (pixels [?, ?, 3]), not for a latent: use --mode=apply"
        in capsys.readouterr().err
    )


def test_files_are_restored_between_the_stages(unbroken, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 12, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "in.png")
    outputs = []
    for strength in (0, 0.5, 1):
        output = tmp_path / f"{strength}.png"
        flags = ["--mode=apply", "--workdir", str(unbroken), "--input", str(tmp_path / "in.png")]
        assert main([*flags, "--output", str(output), f"--strength={strength}"]) == FINISHED
        with Image.open(output) as picture:
            assert picture.size == (24, 18)
            outputs.append(np.asarray(picture).astype(int))
    assert (outputs[0] != outputs[2]).any()


def test_a_run_that_restores_draws_no_samples(unbroken, capsys):
    assert main(["--mode=sample", "--workdir", str(unbroken)]) == MISTAKE
    assert "use --mode=apply" in capsys.readouterr().err
