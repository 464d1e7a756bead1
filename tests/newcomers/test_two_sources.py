"""An external task with two unpaired sources: separate orders, both directions as products, a pool of past fakes."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import orbax.checkpoint as ocp
import pytest
from PIL import Image

import jaxgan
from jaxgan.checkpoints.on_disk import absolute, read_records
from jaxgan.checkpoints.workdir import Workdir
from jaxgan.commands.plan import spec_of
from jaxgan.config.overrides import load_config
from jaxgan.data.order import Order
from jaxgan.errors import FINISHED, MISTAKE, UserError
from jaxgan.main import main

HERE = pathlib.Path(__file__).parent
NAME, POOLS = "two_sources", ("pool_a", "pool_b")
CONFIG = HERE / NAME / "config.py"
QUIET = {"plots": "false", "tensorboard": "false", "compilation_cache": "false"}
ROUNDS, ROUND = 12, 8  # and images in each


def flags(workdir, **changes):
    fields = [f"--config.{field}={value}" for field, value in {**QUIET, **changes}.items()]
    return [f"--allow={NAME}", f"--config={CONFIG}", f"--workdir={workdir}", *fields]


def process(workdir, *, devices=1, **changes):
    """Runs the command line, as a user does."""
    variables = {
        "PYTHONPATH": os.pathsep.join((str(HERE), os.environ.get("PYTHONPATH", ""))),
        "XLA_FLAGS": f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count={devices}",
    }
    command = [sys.executable, "-m", "jaxgan.main", *flags(workdir, **changes)]
    piped = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, env={**os.environ, **variables}, cwd=HERE.parent.parent, **piped)


def records(workdir):
    return read_records(absolute(Workdir(str(workdir)).checkpoints))


def arrays(workdir, step=ROUNDS):
    found = {}
    for item in ("state", "ema"):
        with ocp.PyTreeCheckpointer() as checkpointer:  # on whichever devices they were
            path = workdir / "checkpoints" / str(step) / item
            here = dict.fromkeys(checkpointer.metadata(path).item_metadata, ocp.RestoreArgs(restore_type=np.ndarray))
            found |= {f"{item}/{name}": a for name, a in checkpointer.restore(path, restore_args=here).items()}
    return found


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def run(runs):
    """Trained without a stop."""
    workdir = runs / "whole"
    if not workdir.exists():
        assert main(flags(workdir)) == FINISHED
    return workdir


@pytest.mark.slow
def test_a_run_that_was_killed_resumes_as_if_it_had_not_been(run, runs):
    workdir = runs / "killed"
    with process(workdir, **{"checkpoint.every_images": ROUND, "images": 800}) as started:
        while len(records(workdir)) < 2 and started.poll() is None:
            time.sleep(0.01)
        started.send_signal(signal.SIGKILL)
        reported = started.communicate()[0]
    assert started.returncode == -signal.SIGKILL, reported
    assert 0 < max(record["step"] for record in records(workdir).values()) < ROUNDS
    assert main(flags(workdir)) == FINISHED
    whole, resumed = arrays(run), arrays(workdir)
    assert whole.keys() == resumed.keys()
    assert sum(name in key for key in whole for name in POOLS) == 2
    for name, array in whole.items():
        np.testing.assert_array_equal(array, resumed[name], err_msg=name)


def test_each_source_has_an_order_and_a_place_in_the_record(run):
    (record,) = (each for each in records(run).values() if each["step"] == ROUNDS)
    assert record["positions"] == {"data": ROUNDS * ROUND, "b": ROUNDS * ROUND}
    data = record["data"]
    assert (data["trained on"]["name"], data["trained on"]["split"]) == ("jaxgan_digits", "train[:50%]")
    assert (data["more"]["b"]["name"], data["more"]["b"]["split"]) == ("negatives", "train[60%:]")
    reported = (run / "log.txt").read_text()
    assert "2,250 examples of train[:50%] are trained on" in reported
    assert "b: in use 1,800 examples of train[60%:] are trained on" in reported
    assert main(["--mode=doctor", f"--allow={NAME}", f"--workdir={run}"]) == FINISHED
    fields = spec_of(load_config(str(CONFIG)), (NAME,)).fields  # what a plan compiles
    assert (list(fields), str(fields["b/image"])) == (["image", "label", "b/image"], "pixels [16, 16, 1]")
    orders = [Order(1_000, 7, name).indices(0, 1_000) for name in ("data", "b", "c")]
    assert all(sorted(order) == list(range(1_000)) for order in orders)
    assert all((orders[i] == orders[j]).mean() < 0.02 for i, j in ((0, 1), (0, 2), (1, 2)))
    np.testing.assert_array_equal(orders[0], Order(1_000, 7).indices(0, 1_000))  # as a source alone has it


def test_both_ways_are_scored_called_and_applied(run, tmp_path):
    assert main(["--mode=evaluate", f"--allow={NAME}", f"--workdir={run}"]) == FINISHED
    scores = json.loads((run / f"scores-{ROUNDS}.json").read_text())["scores"]
    assert scores["psnr/negative"] > scores["psnr_input/negative"] + 3  # negatives become digits
    digits = np.linspace(-1, 1, 2 * 12 * 20, dtype=np.float32).reshape(2, 12, 20, 1)
    ways = {way: jaxgan.load(run, product=way, allow=(NAME,)) for way in ("a_to_b", "b_to_a")}
    made = {way: np.stack([model.restore(each) for each in digits]) for way, model in ways.items()}
    assert made["a_to_b"].shape == digits.shape
    assert np.abs(made["a_to_b"] - made["b_to_a"]).max() > 0.01
    np.testing.assert_allclose(ways["a_to_b"](image=digits)["image"], made["a_to_b"], atol=1e-5)
    with pytest.raises(UserError, match="asks for 'image'"):
        ways["a_to_b"].generate(0, 1)
    Image.fromarray(((digits[0, ..., 0] + 1) * 127.5).round().astype(np.uint8)).save(tmp_path / "in.png")
    for way in ways:
        paths = [f"--input={tmp_path / 'in.png'}", f"--output={tmp_path / way}.png", f"--product={way}"]
        assert main(["--mode=apply", f"--workdir={run}", f"--allow={NAME}", *paths]) == FINISHED
    seen = [np.asarray(Image.open(tmp_path / f"{way}.png"), int) for way in ways]
    assert np.abs(seen[0] - seen[1]).max() > 1


@pytest.mark.slow
@pytest.mark.parametrize("caches", [("host", "stream"), ("stream", "device")])
def test_each_source_has_its_own_cache(run, runs, caches):
    changes = {"data.cache": caches[0], "more_data.b.cache": caches[1]}
    workdir = runs / "-".join(caches)
    assert main(flags(workdir, images=2 * ROUND, **changes)) == FINISHED
    assert main(flags(workdir)) == FINISHED  # the cache may change
    whole, other = arrays(run), arrays(workdir)
    for name, array in whole.items():
        np.testing.assert_allclose(array, other[name], rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.slow
def test_two_devices_equal_one(run, runs):
    for runner in ("jit", "pmap"):
        workdir = runs / f"two-{runner}"
        with process(workdir, devices=2, **{"parallel.runner": runner}) as started:
            reported = started.communicate()[0]
        assert started.returncode == FINISHED, reported
        one, two = arrays(run), arrays(workdir)
        assert {name for name in one if one[name].ndim == 4 and len(one[name]) == 32} == {
            f"state/carry/{pool}" for pool in POOLS
        }
        for name, array in one.items():
            if runner == "jit":
                np.testing.assert_allclose(two[name], array, rtol=1e-4, atol=1e-5, err_msg=name)
            elif array.ndim == 4 and "carry" in name:  # each device shows its discriminator other past fakes
                np.testing.assert_allclose(two[name], array, atol=0.02, err_msg=name)


@pytest.mark.parametrize(
    ("changes", "reported"),
    [
        (
            {"more_data.b.channels": "3"},
            "config.task asks for 'b/image' (pixels [16, 16, 1]), config.more_data.b gives it",
        ),
        ({"more_data.b.resolution": "8"}, "config.more_data.b gives it as pixels [8, 8, 1]"),
        ({"more_data": "{}"}, "config.task asks for 'b/image' (pixels [16, 16, 1]), config.more_data.b gives nothing"),
        (
            {"more_data.c.name": "jaxgan_digits", "more_data.c.resolution": "16"},
            "config.more_data.c: config.task uses no field of it",
        ),
        ({"more_data.b.nmae": "x"}, "config.more_data.b.nmae does not exist; did you mean name?"),
        ({"more_data.b.source.wide": "3"}, "config.more_data.b.source.wide does not exist"),
        ({"more_data.b.source": "{}"}, "config.more_data.b.name is missing"),
        ({"more_data.b.name": "./nowhere"}, "config.more_data.b.name"),
        ({"more_data.b.crops": "0"}, "config.more_data.b.crops: got 0"),
        ({"more_data.data.name": "jaxgan_digits"}, "config.more_data: got the name 'data'"),
        ({"more_data.b.cache": "disk"}, "config.more_data.b.cache: got 'disk'"),
    ],
)
def test_a_mistake_in_further_data_is_one_line(changes, reported, tmp_path, capsys):
    assert main(flags(tmp_path / "run", **changes)) == MISTAKE
    error = capsys.readouterr().err.strip()
    assert reported in error
    assert "\n" not in error
    assert not (tmp_path / "run").exists()


def test_a_run_goes_on_with_its_own_data_alone(run, capsys):
    assert main(flags(run, **{"more_data.b.split": "train"})) == MISTAKE
    assert "config.more_data.b.split: got 'train', but the run in" in capsys.readouterr().err
