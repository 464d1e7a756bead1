"""Checkpoints: retention, resuming, and refusal of damaged ones."""

import json
import logging
import os
import random
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan.checkpoints.checkpoint import Checkpoints
from jaxgan.checkpoints.formats import REVISION
from jaxgan.checkpoints.on_disk import absolute, restore_average
from jaxgan.errors import UserError
from jaxgan.game import State


def make_state(step=0, width=3, scale=1.0):
    key = jax.random.fold_in(jax.random.key(1), step)
    params = {
        "generator": {"dense": {"kernel": scale * jax.random.normal(key, (4, width)), "bias": jnp.zeros(width)}},
        "discriminator": {"dense": {"kernel": jnp.ones((width, 1), jnp.bfloat16)}},
    }
    adam = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3))
    count = jnp.int32(step)
    return State(
        step=count,
        images_seen=64 * count,
        rollbacks=jnp.int32(0),
        skipped=jnp.int32(2),
        skipped_in_a_row=jnp.int32(0),
        averaged_at={"generator": 64 * count},
        params=params,
        variables={"generator": {"batch_stats": {"mean": jnp.full(width, 0.1)}}, "discriminator": {}},
        opt_state={name: adam.init(params[name]) for name in params},
        ema_params={"generator": jax.tree.map(lambda x: x / 3, params["generator"])},
        ema_variables={"generator": {"batch_stats": {"mean": jnp.full(width, 0.2)}}},
        carry={"augment": jnp.float32(0.25)},
    )


def save(checkpoints, step, **kwargs):
    return checkpoints.save(make_state(step), step=step, images=64 * step, **kwargs)


def shapes(state):
    return jax.eval_shape(lambda: state)


def assert_equal(found, wanted):
    assert jax.tree.structure(found) == jax.tree.structure(wanted)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted)):
        assert a.dtype == b.dtype
        assert (a.shape, np.asarray(a).tobytes()) == (b.shape, np.asarray(b).tobytes())


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def arrays(item):
    """The largest file with values of arrays in it."""
    return max((item / "d").iterdir(), key=lambda path: path.stat().st_size)


@pytest.fixture
def saved(tmp_path):
    """The folder of checkpoints 0, 10 and 20."""
    with Checkpoints(tmp_path) as checkpoints:
        for step in (0, 10, 20):
            save(checkpoints, step)
    return tmp_path


@pytest.mark.quick
def test_a_round_trip_is_bit_for_bit_and_brings_the_record(tmp_path):
    state = make_state(7)
    with Checkpoints(tmp_path, config={"seed": 3}, class_names=["cat", "dog"]) as checkpoints:
        assert checkpoints.restore_latest(shapes(state)) is None
        assert checkpoints.save(state, step=7, images=448, metrics={"frechet/x": 1.5})
    with Checkpoints(tmp_path) as checkpoints:
        restored = checkpoints.restore_latest(shapes(state))
    assert_equal(restored.state, state)
    record = restored.record
    assert (record["step"], record["images_seen"], record["good"]) == (7, 448, True)
    assert (record["metrics"], record["config"]) == ({"frechet/x": 1.5}, {"seed": 3})
    assert (record["class_names"], record["revision"]) == (["cat", "dog"], REVISION)


def test_a_relative_directory_works_and_a_remote_one_is_unchanged(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Checkpoints("run/checkpoints") as checkpoints:
        save(checkpoints, 3)
    assert (tmp_path / "run" / "checkpoints" / "3" / "manifest.json").exists()
    assert str(absolute("gs://bucket/run")) == "gs://bucket/run"


def test_a_save_is_of_the_state_before_it_was_donated(tmp_path):
    state = make_state(1)
    wanted = jax.tree.map(np.array, state)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(state, step=1, images=64)
        moved = jax.jit(lambda s: jax.tree.map(lambda x: x + 1, s), donate_argnums=0)(state)
        jax.block_until_ready(moved)
        assert_equal(checkpoints.restore(1, moved).state, wanted)


def test_the_last_best_newest_good_first_and_requested_steps_are_kept(tmp_path):
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        save(checkpoints, 0)
        save(checkpoints, 10, metrics={"frechet/classifier-ab12": 5.0})
        save(checkpoints, 20, metrics={"frechet/classifier-ab12": 2.0})
        save(checkpoints, 30, metrics={"frechet/classifier-ab12": float("nan")}, keep_forever=True)
        save(checkpoints, 40)
        save(checkpoints, 50, metrics={"recall/classifier-ab12": 0.1}, good=False)
        save(checkpoints, 60, good=False)
        save(checkpoints, 70, good=False)
        assert checkpoints.steps() == [0, 20, 30, 40, 60, 70]
        assert checkpoints.best_step() == 20
        assert checkpoints.latest == 70
    with Checkpoints(tmp_path, best="recall", best_mode="max") as checkpoints:
        assert checkpoints.steps() == [0, 20, 30, 40, 60, 70]
        assert checkpoints.best_step() is None


def test_the_best_may_be_the_highest_and_the_newer_of_equals(tmp_path):
    with Checkpoints(tmp_path, best="recall", best_mode="max", keep=1) as checkpoints:
        for step, recall in ((1, 0.2), (2, 0.7), (3, 0.7), (4, 0.1)):
            save(checkpoints, step, metrics={"recall/features": recall})
        assert checkpoints.best_step() == 3
        assert checkpoints.steps() == [3, 4]


def test_an_existing_step_is_not_saved_again(saved):
    with Checkpoints(saved) as checkpoints:
        assert not checkpoints.save(make_state(20, scale=9.0), step=20, images=0)
        assert_equal(checkpoints.restore(20, shapes(make_state())).state, make_state(20))


def test_a_rollback_goes_to_the_newest_good_one_and_drops_what_came_after(tmp_path):
    with Checkpoints(tmp_path, keep=3) as checkpoints:
        save(checkpoints, 0)
        save(checkpoints, 10)
        save(checkpoints, 20, good=False)
        save(checkpoints, 30, good=False)
        restored = checkpoints.restore_latest(shapes(make_state()), good=True)
        assert int(restored.state.step) == 10
        checkpoints.delete_after(10)
        assert checkpoints.steps() == [0, 10]
        assert save(checkpoints, 20)
        assert int(checkpoints.restore_latest(shapes(make_state())).state.step) == 20


def test_a_rollback_past_a_damaged_checkpoint_keeps_it_aside(saved):
    flip_data(saved / "20")
    with Checkpoints(saved, keep=3) as checkpoints:
        save(checkpoints, 30, good=False)
        assert int(checkpoints.restore_latest(shapes(make_state()), good=True).state.step) == 10
        checkpoints.delete_after(10)
        assert checkpoints.steps() == [0, 10]
    assert sorted(path.name for path in saved.iterdir()) == ["0", "10", "20.refused"]


def test_no_good_checkpoint_is_none(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        save(checkpoints, 5, good=False)
        assert checkpoints.restore_latest(shapes(make_state()), good=True) is None


def flip_data(folder):
    flip(arrays(folder / "state"))


def flip_ema(folder):
    flip(arrays(folder / "ema"))


def truncate(folder):
    path = arrays(folder / "state")
    path.write_bytes(path.read_bytes()[:-1])


def remove_data(folder):
    arrays(folder / "state").unlink()


def remove_manifest(folder):
    (folder / "manifest.json").unlink()


def flip_manifest(folder):
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"images_seen": 1280', '"images_seen": 1281'))


def truncate_manifest(folder):
    path = folder / "manifest.json"
    path.write_text(path.read_text()[:100])


def empty_manifest(folder):
    (folder / "manifest.json").write_text("[]")


def other_format(folder):
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))


def foreign_folder(folder):
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (folder / "weights.bin").write_bytes(b"something else")


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (flip_data, "checksum differs"),
        (flip_ema, "checksum differs"),
        (truncate, "were written"),
        (remove_data, "cannot be read"),
        (remove_manifest, "no manifest.json"),
        (flip_manifest, "manifest.json is damaged"),
        (truncate_manifest, "manifest.json cannot be read"),
        (empty_manifest, "manifest.json cannot be read"),
        (other_format, "its format is 99"),
        (foreign_folder, "no manifest.json"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_an_incomplete_checkpoint_is_refused_by_name_and_the_older_one_used(saved, caplog, harm, why):
    harm(saved / "20")
    with caplog.at_level(logging.INFO), Checkpoints(saved) as checkpoints:
        assert_equal(checkpoints.restore_latest(shapes(make_state())).state, make_state(10))
        reported = [record.getMessage() for record in caplog.records]
        assert len(reported) == 2
        assert f"{saved}/20 is refused" in reported[0]
        assert why in reported[0]
        assert f"{saved}/10 is used instead" in reported[1]
        with pytest.raises(UserError, match="20 is refused"):
            checkpoints.restore(20, shapes(make_state()))


def test_a_refused_step_can_be_saved_again_and_is_kept_aside(saved):
    flip_data(saved / "20")
    with Checkpoints(saved) as checkpoints:
        checkpoints.restore_latest(shapes(make_state()))
        save(checkpoints, 12)
        assert save(checkpoints, 20)
        assert checkpoints.steps() == [0, 12, 20]
    with Checkpoints(saved) as checkpoints:
        assert_equal(checkpoints.restore_latest(shapes(make_state())).state, make_state(20))
    assert (saved / "20.refused" / "manifest.json").exists()


def test_a_checkpoint_of_another_model_is_refused_with_the_first_difference(saved):
    with Checkpoints(saved) as checkpoints:
        with pytest.raises(
            UserError, match=r"params/discriminator/dense/kernel is \[3, 1\] bfloat16 in it and \[5, 1\]"
        ):
            checkpoints.restore_latest(shapes(make_state(width=5)))
        more = make_state().replace(carry={"augment": jnp.float32(0), "path_length": jnp.float32(0)})
        with pytest.raises(UserError, match="carry/path_length is absent in it and"):
            checkpoints.restore_latest(shapes(more))
        assert checkpoints.restore_latest(shapes(make_state())) is not None  # asking took nothing away


def test_the_average_alone_comes_without_a_state(saved, caplog):
    wanted = make_state(20)
    average = restore_average(saved)
    assert_equal(average.params, wanted.ema_params)
    assert_equal(average.variables, wanted.ema_variables)
    assert average.record["step"] == 20
    flip_data(saved / "20")  # not read for the average
    assert restore_average(saved).record["step"] == 20
    flip_ema(saved / "20")
    assert restore_average(saved).record["step"] == 10
    assert "20 is refused" in caplog.text
    assert_equal(restore_average(saved, 0).params, make_state(0).ema_params)


def test_the_average_of_networks_without_variables(tmp_path):
    state = make_state().replace(ema_variables={"generator": {}})
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(state, step=0, images=0)
    assert restore_average(tmp_path).variables == {"generator": {}}


def test_the_average_of_the_best_step_and_mistakes(tmp_path, saved):
    with pytest.raises(UserError, match="no checkpoint in"):
        restore_average(tmp_path / "nowhere")
    with pytest.raises(UserError, match="got 7, expected one of 'latest', 'best', 0, 10, 20"):
        restore_average(saved, 7)
    with pytest.raises(UserError, match="score named frechet"):
        restore_average(saved, "best")
    with Checkpoints(saved) as checkpoints:
        save(checkpoints, 30, metrics={"frechet/f": 1.0})
        save(checkpoints, 40, metrics={"frechet/f": 2.0})
    assert restore_average(saved, "best").record["step"] == 30
    assert restore_average(saved, "best", best_mode="max").record["step"] == 40
    flip_ema(saved / "30")
    assert restore_average(saved, "best").record["step"] == 40
    with pytest.raises(UserError, match="step 30 is refused"):
        restore_average(saved, 30)


def test_orbax_is_quiet_and_its_errors_are_not(saved, caplog):
    with caplog.at_level(logging.DEBUG), Checkpoints(saved) as checkpoints:
        save(checkpoints, 30)
        checkpoints.restore_latest(shapes(make_state()))
    assert not [record for record in caplog.records if record.name == "absl"]
    absl = logging.getLogger("absl")
    record = absl.makeRecord("absl", logging.ERROR, "/site/orbax/x.py", 1, "broken", (), None)
    assert absl.filter(record)


def test_a_failed_save_is_reported_and_not_counted(saved, monkeypatch):
    def full(*_):
        raise OSError("no space left")

    with Checkpoints(saved) as checkpoints:
        monkeypatch.setattr("jaxgan.checkpoints.checkpoint.write_manifest", full)
        save(checkpoints, 30)
        with pytest.raises(OSError, match="no space left"):
            checkpoints.wait()
        monkeypatch.undo()
        assert 30 not in checkpoints.steps()
        assert save(checkpoints, 40)
        assert checkpoints.steps()[-1] == 40


SAVER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_checkpoint import make_state
from jaxgan.checkpoints.checkpoint import Checkpoints
with Checkpoints(sys.argv[1]) as checkpoints:
    for step in range(10_000):
        checkpoints.save(make_state(step), step=step, images=64 * step)
        print(step, flush=True)
"""


@pytest.mark.slow
def test_a_run_killed_while_it_saves_leaves_a_whole_checkpoint(tmp_path):
    command = [sys.executable, "-c", SAVER, str(tmp_path), os.path.dirname(__file__)]
    chance = random.Random(0)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while int(process.stdout.readline()) < 4:
            pass
        time.sleep(chance.uniform(0, 0.2))
        process.send_signal(signal.SIGKILL)
        started = max([4, *(int(line) for line in process.stdout.read().split())])
    with Checkpoints(tmp_path) as checkpoints:
        restored = checkpoints.restore_latest(shapes(make_state()))
        step = int(restored.state.step)
        assert step >= started - 1  # a save waits for the one before: only the last can be missing
        assert_equal(restored.state, make_state(step))
        save(checkpoints, step + 1)
        checkpoints.wait()
        assert not list(tmp_path.glob("*tmp*"))


TWO_DEVICES = """
import sys
sys.path.insert(0, sys.argv[2])
import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from test_checkpoint import assert_equal, make_state, shapes
from jaxgan.checkpoints.checkpoint import Checkpoints
assert len(jax.devices()) == 2
everywhere = NamedSharding(Mesh(jax.devices(), ("data",)), PartitionSpec())
place = lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=everywhere)
with Checkpoints(sys.argv[1]) as checkpoints:
    state = checkpoints.restore_latest(jax.tree.map(place, shapes(make_state()))).state
assert all(leaf.sharding == everywhere for leaf in jax.tree.leaves(state))
assert_equal(state, make_state(20))
"""


@pytest.mark.slow
def test_one_device_s_checkpoint_on_two(saved):
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=2",
    }
    subprocess.run(
        [sys.executable, "-c", TWO_DEVICES, str(saved), os.path.dirname(__file__)],
        env=environment,
        check=True,
    )
