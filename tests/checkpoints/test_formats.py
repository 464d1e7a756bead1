"""Checkpoints of former formats go on as they were; those without an average are whole, too."""

import json

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp
import pytest
from etils import epath
from test_checkpoint import assert_equal, make_state, shapes
from test_tampered import fit

from jaxgan.checkpoints import formats, on_disk
from jaxgan.checkpoints.checkpoint import Checkpoints
from jaxgan.checkpoints.manifest import write_manifest
from jaxgan.errors import UserError


def save_as_first(folder, state, step=5):
    """A checkpoint as format 1 had it: with one number in the place of the clocks of the averages."""
    items = on_disk.split_state(state)
    (clock,) = {float(items["state"].pop(name)) for name in list(items["state"]) if name.startswith("averaged_at/")}
    items["state"]["averaged_at"] = jnp.int32(clock)
    for item, arrays in items.items():
        with ocp.StandardCheckpointer() as checkpointer:
            checkpointer.save(folder / str(step) / item, arrays)
    tree = {item: on_disk.shapes(arrays) for item, arrays in items.items()}
    reported = {"step": step, "images_seen": 64 * step, "good": True, "keep_forever": False, "metrics": {}}
    path = epath.Path(folder / str(step))
    write_manifest(path, items, {**reported, "tree": tree})
    content = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(fit({**content, "format": 1}))


def two_averages(step):
    state = make_state(step)
    both = {"params": state.params, "variables": state.variables}
    average = {f"ema_{kind}": jax.tree.map(lambda leaf: leaf / 2, tree) for kind, tree in both.items()}
    return state.replace(**average, averaged_at=dict.fromkeys(state.params, jnp.int32(64 * step)))


@pytest.mark.parametrize("make", [make_state, two_averages])
def test_the_one_clock_of_the_averages_becomes_that_of_each(make, tmp_path):
    state = make(5)
    save_as_first(tmp_path, state)
    with Checkpoints(tmp_path) as checkpoints:
        restored = checkpoints.restore_latest(shapes(state)).state
        assert_equal(restored, state)
        pointers = [leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves(restored)]
        assert len(set(pointers)) == len(pointers), "the step is given each buffer to write on, once"
        checkpoints.save(restored.replace(step=jnp.int32(6)), step=6, images=384)
    reported = json.loads((tmp_path / "6" / "manifest.json").read_text())
    assert reported["format"] == formats.FORMAT == 2
    assert {name for name in reported["record"]["tree"]["state"] if name.startswith("averaged_at")} == {
        f"averaged_at/{name}" for name in state.averaged_at
    }


def test_a_format_of_the_future_says_which_are_read(tmp_path):
    save_as_first(tmp_path, make_state(5))
    path = tmp_path / "5" / "manifest.json"
    for other in (3, True, "1"):
        path.write_text(fit({**json.loads(path.read_text()), "format": other}))
        with (
            Checkpoints(tmp_path) as checkpoints,
            pytest.raises(UserError, match=f"format is {other!r}, .* reads 1, 2"),
        ):
            checkpoints.restore_latest(shapes(make_state()))


def test_a_state_without_an_average_is_saved_and_restored(tmp_path):
    state = make_state(5).replace(ema_params={}, ema_variables={}, averaged_at={})
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(state, step=5, images=320)
        assert_equal(checkpoints.restore_latest(shapes(state)).state, state)
    assert not (tmp_path / "5" / "ema").exists()
    with pytest.raises(UserError, match="it has no averaged weights"):
        on_disk.restore_average(tmp_path)
