"""Runs that were never trained (a config and averaged weights as networks begin with), and `--mode=apply`."""

import jax
import jax.numpy as jnp
import pytest

from jaxgan.building.assemble import fill_in, make_task
from jaxgan.building.opening import open_source
from jaxgan.checkpoints.checkpoint import Checkpoints
from jaxgan.config.run import DataConfig, EvaluationConfig, RunConfig, to_json
from jaxgan.game import State
from jaxgan.main import main
from jaxgan.media.provenance import credentials

NETWORKS = {
    "dcgan": ({"widths": (8,)}, {"widths": (8,)}),
    "stylegan2": ({"max_width": 8, "style_dim": 16, "mapping_layers": 2}, {"max_width": 8}),
}


def untrained(path, family, *, conditional):
    generator, discriminator = NETWORKS[family]
    config = RunConfig(
        networks={
            "generator": {"name": f"{family}.Generator", **generator},
            "discriminator": {"name": f"{family}.Discriminator", **discriminator},
        },
        task={
            "name": "generation.Generation",
            "condition": "label" if conditional else None,
            "adversary": {"loss": "adversarial.non_saturating"},
            "latent_dim": 16,
        },
        optimizers={},
        data=DataConfig("jaxgan_digits", resolution=8),
        evaluation=EvaluationConfig(neighbours=3, batch_size=32),
        compilation_cache=False,
        images=1,
    )
    source = open_source(config.data, "train")
    config = fill_in(config, source.spec)
    batch = {"image": jnp.zeros((2, 8, 8, 1)), "label": jnp.zeros(2, jnp.int32)}
    params, variables = jax.jit(make_task(config).init)(jax.random.key(0), batch)
    zero = jnp.int32(0)
    state = State(zero, zero, zero, zero, zero, zero, params, variables, {}, params, variables, {})
    path.mkdir()
    (path / "config.json").write_text(to_json(config))
    with Checkpoints(path / "checkpoints", config={}, class_names=source.spec.classes) as checkpoints:
        checkpoints.save(state, step=0, images=0, metrics={})
    return path


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """Work directories: `dcgan` with classes, `stylegan2` without."""
    root = tmp_path_factory.mktemp("untrained")
    return {family: untrained(root / family, family, conditional=family == "dcgan") for family in NETWORKS}


@pytest.fixture
def apply(monkeypatch):
    """Runs the command with a stand-in for a published model."""

    def apply(standin, given, output, **options):
        monkeypatch.setattr("jaxgan.commands.apply.load_pretrained", lambda name: standin)
        flags = [f"--{name}={value}" for name, value in options.items()]
        return main(["--mode=apply", "--pretrained=standin", f"--input={given}", f"--output={output}", *flags])

    return apply


@pytest.fixture
def installation(tmp_path_factory, monkeypatch):
    """A home of its own for every test, outside of the folders that are verified."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    return home


@pytest.fixture
def without_c2pa(monkeypatch):
    """As if c2pa-python were not installed."""
    monkeypatch.setattr(credentials, "available", lambda: False)
