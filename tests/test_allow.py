"""Packages beside jaxgan, brought in by `--allow`."""

import sys
from pathlib import Path

import numpy as np
import pytest

import jaxgan
from jaxgan.errors import FINISHED, MISTAKE, UserError
from jaxgan.main import main

NETWORKS = '''
"""A generator from outside."""

from flax import linen as nn

from jaxgan.config.domains import Given


class Generator(nn.Module):
    """Latents [B,Z] -> images [B,16,16,1]."""

    resolution: Given[int]
    channels: Given[int]

    @nn.compact
    def __call__(self, latent, label=None, *, train=False):
        pixels = nn.Dense(self.resolution**2 * self.channels, name="dense")(latent)
        return nn.tanh(pixels).reshape(-1, self.resolution, self.resolution, self.channels)
'''
SMALL = {
    "images": "16",
    "batch_size": "8",
    "plots": "false",
    "tensorboard": "false",
    "compilation_cache": "false",
    "data.name": "jaxgan_digits",
    "data.fit": "pad",
    "evaluation.features": "patches",
    "tiny": "true",
}

NEWCOMERS = Path(__file__).parent / "newcomers"
BROKEN = {"leaves": "raise SystemExit(3)\n", "unfinished": "def f(:\n", "loops": "raise RuntimeError('one\\ntwo')\n"}


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "site" / "visitors"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "nets.py").write_text(NETWORKS)
    (tmp_path / "site" / "broken_visitors.py").write_text("import no_such_module\n")
    for name, code in BROKEN.items():
        (folder / f"{name}.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return "visitors"


def train(workdir, *flags):
    changes = [f"--config.{name}={value}" for name, value in SMALL.items()]
    config = [
        "--config=configs/vanilla_gan.py",
        f"--workdir={workdir}",
        "--config.networks.generator.name=visitors.nets.Generator",
    ]
    return main([*config, *changes, *flags])


def test_a_network_from_outside_is_trained_resumed_scored_drawn_and_loaded(package, tmp_path, capsys):
    workdir = tmp_path / "run"
    assert train(workdir, f"--allow={package}") == FINISHED
    assert train(workdir, f"--allow={package}", "--config.images=32") == FINISHED
    picture = tmp_path / "drawn.png"
    assert main(["--mode=sample", f"--workdir={workdir}", f"--output={picture}", "--allow", package]) == FINISHED
    assert picture.exists()
    assert main(["--mode=evaluate", f"--workdir={workdir}", f"--allow={package}"]) == FINISHED
    model = jaxgan.load(workdir, allow=(package,))
    assert model.images_seen == 32
    assert np.isfinite(model.generate(0, 2)).all()


def test_without_the_flag_nothing_of_it_is_imported(package, tmp_path, capsys):
    assert train(tmp_path / "run") == MISTAKE
    assert "config.networks.generator.name: 'visitors.nets.Generator' is not a network" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    assert train(tmp_path / "run", f"--allow={package}") == FINISHED
    for mode in ("sample", "evaluate", "export --format=safetensors --output=x.safetensors"):
        name, *flags = mode.split()
        assert main([f"--mode={name}", *flags, f"--workdir={tmp_path / 'run'}"]) == MISTAKE
        assert "is not a network" in capsys.readouterr().err
    with pytest.raises(UserError, match="is not a network"):
        jaxgan.load(tmp_path / "run")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("no_such_visitors", "--allow=no_such_visitors: cannot be imported: ModuleNotFoundError"),
        (
            "broken_visitors",
            "--allow=broken_visitors: cannot be imported: ModuleNotFoundError: No module named 'no_such",
        ),
        ("jaxgan", "--allow=jaxgan: jaxgan has a module named jaxgan"),
        ("jaxgan.models", "--allow=jaxgan.models: jaxgan has a module named jaxgan"),
        ("dcgan", "--allow=dcgan: jaxgan has a module named dcgan"),
        ("adversarial.mine", "--allow=adversarial.mine: jaxgan has a module named adversarial"),
        ("", "--allow: got '', expected the name of a package"),
        ("visitors,", "--allow: got '', expected the name of a package"),
        ("../visitors", "--allow: got '../visitors', expected the name of a package"),
    ],
)
def test_a_package_that_cannot_be_allowed_is_one_line(package, name, told, tmp_path, capsys):
    assert train(tmp_path / "run", f"--allow={name}") == MISTAKE
    error = capsys.readouterr().err.strip()
    assert error.startswith(f"jaxgan: {told}")
    assert "\n" not in error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("module", "told"),
    [("leaves", "SystemExit: 3"), ("unfinished", "SyntaxError: "), ("loops", "RuntimeError: one two")],
)
def test_a_module_of_a_package_that_cannot_be_imported_is_one_line(package, module, told, tmp_path, capsys):
    name = f"{package}.{module}.Generator"
    assert train(tmp_path / "run", f"--allow={package}", f"--config.networks.generator.name={name}") == MISTAKE
    error = capsys.readouterr().err.strip()
    assert error.startswith(f"jaxgan: config.networks.generator.name: {name!r} cannot be imported: {told}")
    assert "\n" not in error
    assert not (tmp_path / "run").exists()


def test_a_package_that_is_there_and_not_allowed_is_named(package, tmp_path, capsys, monkeypatch):
    monkeypatch.delitem(sys.modules, package, raising=False)
    assert train(tmp_path / "run") == MISTAKE
    told = "'visitors.nets.Generator' is not a network; if visitors is your own package, --allow=visitors lets"
    assert told in capsys.readouterr().err
    assert package not in sys.modules  # nothing of it has run


@pytest.mark.parametrize("module", sorted(NEWCOMERS.glob("*/__init__.py")), ids=lambda path: path.parent.name)
def test_a_newcomer_is_one_small_module_and_one_config(module):
    assert len(module.read_text().splitlines()) <= 150
    assert sorted(each.name for each in module.parent.glob("*.py")) == ["__init__.py", "config.py"]
