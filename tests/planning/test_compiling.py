"""The process that compiles, with the devices at hand in place of a slice."""

import dataclasses
import io
import json
import types

import jax
from jax.experimental import topologies

from jaxgan.config import DataConfig, RunConfig, to_json
from jaxgan.data.sources import DataSpec
from jaxgan.planning import compiling

SPEC = DataSpec("none", "train", 1, 8, 8, 1, 0, (), "")


def test_a_program_is_compiled_once(tmp_path, monkeypatch, capsys):
    config = RunConfig(
        generator={"name": "dcgan.Generator", "widths": (8,)},
        discriminator={"name": "dcgan.Discriminator", "widths": (8,)},
        task={"name": "generation.Generation", "loss": "adversarial.non_saturating", "latent_dim": 8},
        optimizers={player: {"name": "adam", "learning_rate": 1e-3} for player in ("generator", "discriminator")},
        data=DataConfig("none", resolution=8, channels=1),
        batch_size=4,
        images=1000,
    )
    request = {
        "config": json.loads(to_json(config)),
        "spec": dataclasses.asdict(SPEC),
        "topology": "v5e:1x1",
        "cache": str(tmp_path),
    }
    stand_in = types.SimpleNamespace(devices=jax.devices()[:1])
    monkeypatch.setattr(topologies, "get_topology_desc", lambda **_: stand_in)
    monkeypatch.setattr(compiling.importlib.metadata, "version", lambda _: "0")
    monkeypatch.setenv("LIBTPU_INIT_ARGS", "")
    answers = []
    for _ in range(2):
        monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(request)))
        compiling.main()
        (answer,) = json.loads(capsys.readouterr().out)
        answers.append(compiling.Compiled(**answer))
    first, second = answers
    assert first == second  # the seconds of compiling, too: it was not done again
    assert len(list(tmp_path.iterdir())) == 1
    assert first.share == 1.0
    assert first.collectives == {}
    assert first.needed > 2 * first.params > 0
    assert first.moments > first.params  # of both players' Adam, two each
    assert 0.5 * first.model_flops < first.flops
