"""The configs that come with the package, by name: `--config=jaxgan:quickstart`."""

from pathlib import Path

import pytest

from jaxgan.config.overrides import load_config, shelf
from jaxgan.config.run import to_json
from jaxgan.errors import MISTAKE
from jaxgan.main import main

pytestmark = pytest.mark.quick

CONFIGS = Path(__file__).parents[2] / "configs"


def test_every_config_has_a_name(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jaxgan").mkdir()  # a folder of this name in the way is not meant
    assert [file.name for file in sorted(shelf().glob("*.py"))] == [file.name for file in sorted(CONFIGS.glob("*.py"))]
    for file in CONFIGS.glob("*.py"):
        assert to_json(load_config(f"jaxgan:{file.stem}")) == to_json(load_config(str(file)))


def test_variants_and_changes():
    named = load_config("jaxgan:vsr_clips:tecogan", {"batch_size": "2"})
    assert to_json(named) == to_json(load_config(f"{CONFIGS}/vsr_clips.py:tecogan", {"batch_size": "2"}))
    assert "discriminator" in named.networks


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("quikstart", "no config of this name comes with jaxgan; did you mean jaxgan:quickstart?"),
        ("../configs/quickstart", "did you mean jaxgan:quickstart?"),
        ("", "expected one of biggan, dcgan_mnist, "),
        ("vsr_clips:tecogam", "vsr_clips.py, line "),
    ],
)
def test_an_unknown_name_is_one_line_with_the_nearest(name, words, tmp_path, capsys):
    assert main([f"--config=jaxgan:{name}", f"--workdir={tmp_path}/run"]) == MISTAKE
    printed = capsys.readouterr().err
    assert printed.startswith(f"jaxgan: --config=jaxgan:{name}: ")
    assert words in printed
    assert printed.count("\n") == 1
    assert not (tmp_path / "run").exists()
