"""Initial weights are matched to networks by name if they come from a run, and by class if from a file."""

import dataclasses
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.building import initial
from jaxgan.building.assemble import make_task
from jaxgan.building.parts import make_optimizers
from jaxgan.config.run import DataConfig, RunConfig, to_json
from jaxgan.errors import UserError
from jaxgan.training.state import init_state

SHAPE = {"resolution": 8, "channels": 1}
CONFIG = RunConfig(
    networks={
        "generator": {"name": "mlp.Generator", "widths": (4,), **SHAPE},
        "discriminator": {"name": "mlp.Discriminator", "widths": (4,)},
    },
    task={"name": "generation.Generation", "adversary": {"loss": "adversarial.non_saturating"}, "latent_dim": 3},
    optimizers={player: {"name": "adam", "learning_rate": 1e-3} for player in ("generator", "discriminator")},
    data=DataConfig("stand-in"),
    images=1,
    start_from="somewhere",
)
TASK = make_task(CONFIG)


def start():
    batch = {"image": jnp.zeros((2, 8, 8, 1))}
    return init_state(TASK, make_optimizers(CONFIG, TASK), jax.random.key(0), batch)


def ones(tree):
    return jax.tree.map(lambda leaf: np.ones(leaf.shape, np.float32), tree)


def begun(section, network, config=CONFIG):
    """The state initialized from a file of ones for a network of this section, and the state without it."""
    state = start()
    found = types.SimpleNamespace(section=section, params=ones(state.params[network]), variables={})
    begin = initial.make_begin(config, TASK, read={"somewhere": found}.__getitem__, frozen={})
    return begin(state), state


def same(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_a_file_is_for_the_network_of_its_class():
    state, before = begun(CONFIG.networks["discriminator"], "discriminator")
    same(state.params["discriminator"], ones(before.params["discriminator"]))
    same(state.params["generator"], before.params["generator"])
    same(state.ema_params, before.ema_params)
    state, before = begun(CONFIG.networks["generator"], "generator")
    same((state.params["generator"], state.ema_params["generator"]), (ones(before.params["generator"]),) * 2)
    same(state.params["discriminator"], before.params["discriminator"])


def test_a_file_that_does_not_fit_is_one_line():
    with pytest.raises(UserError, match=r"start_from: got 'somewhere' with weights of rrdb\.Generator, but .* mlp\."):
        begun({"name": "rrdb.Generator"}, "generator")
    wider = {**CONFIG.networks["discriminator"], "widths": (5,)}
    with pytest.raises(
        UserError, match=r"networks\.discriminator\.widths: got \(4,\).*give --config\.networks\.discriminator\."
    ):
        begun(wider, "discriminator")
    with pytest.raises(
        UserError, match=r"config\.start_from: discriminator/params/dense_0/kernel is \(3, 4\), expected \(64, 4\)"
    ):
        begun(CONFIG.networks["discriminator"], "generator")


@pytest.mark.parametrize("name", ["generator", "painter"])
def test_a_run_gives_its_networks_by_name(name, tmp_path, monkeypatch, capsys):
    networks = {**CONFIG.networks, "generator": {**CONFIG.networks["generator"], "conditioning": "concat"}}
    there = dataclasses.replace(CONFIG, networks=networks, start_from=None)
    (tmp_path / "config.json").write_text(to_json(there))
    state = start()
    average = types.SimpleNamespace(params={name: ones(state.params["generator"])}, variables={name: {}})
    monkeypatch.setattr(initial, "restore_average", lambda directory: average)
    config = dataclasses.replace(CONFIG, start_from=str(tmp_path))
    if name == "painter":
        with pytest.raises(UserError, match=r"with weights of painter, but .* networks are discriminator, generator"):
            initial.make_begin(config, TASK, read=None, frozen={})
        return
    new = initial.make_begin(config, TASK, read=None, frozen={})(state)
    same((new.params["generator"], new.ema_params["generator"]), (average.params["generator"],) * 2)
    assert not capsys.readouterr().err  # an explicit default is no difference


def test_frozen_weights_are_of_a_network_that_the_state_has():
    state = start()
    wide = {"discriminator": {**ones(state.params["discriminator"]), "more": np.ones(3)}, "absent": {}}
    new = initial.with_frozen(state, wide)
    same(new.params["discriminator"], ones(state.params["discriminator"]))
    assert new.params.keys() == state.params.keys()
    with pytest.raises(UserError, match="the frozen weights: generator/dense_0/bias is"):
        initial.with_frozen(state, {"generator": jax.tree.map(lambda leaf: leaf[None], state.params["generator"])})
