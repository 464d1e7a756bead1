"""The command line: flags, help, mistakes and exit statuses."""

import os
import subprocess
import sys
import time

import pytest

from jaxgan.errors import CTRL_C, GAVE_UP, INTERRUPTED, MISTAKE, TrainingGaveUp
from jaxgan.main import main, parse

pytestmark = pytest.mark.quick

CONFIG = """
from ml_collections import ConfigDict

def get_config():
    return ConfigDict(dict(
        networks=dict(
            generator=dict(name="mlp.Generator", widths=(8,)),
            discriminator=dict(name="mlp.Discriminator", widths=(8,)),
        ),
        task=dict(name="generation.Generation", adversary=dict(loss="adversarial.hinge"), latent_dim=4),
        optimizers=dict.fromkeys(("generator", "discriminator"), dict(name="adam", learning_rate=1e-3)),
        data=dict(name="jaxgan_digits"),
        images=128,
    ))
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "x.py"
    path.write_text(CONFIG)
    return str(path)


def test_flags_with_and_without_equals():
    call = parse(["--config", "x.py", "--workdir=w", "--mode", "evaluate", "--samples=9", "--config.seed", "3"])
    assert call == ("evaluate", "x.py", "w", {"seed": "3"}, {"samples": "9"}, ())
    assert parse(["--workdir=w", "--config.data.data_dir=a=b"]).overrides == {"data.data_dir": "a=b"}


def test_help_and_mistakes_are_quick_and_need_no_jax():
    code = (
        "import sys; from jaxgan.main import main; "
        "a, b = main(['--help']), main(['--mode=trian']); "
        "c = main(['--config=configs/quickstart.py', '--workdir=w', '--config.sed=1']); "
        "assert 'jax' not in sys.modules and 'flax' not in sys.modules; assert (a, b, c) == (0, 2, 2)"
    )
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert time.perf_counter() - start < 5  # under one on a quiet machine
    for words in ("--mode=sample", "--config.batch_size (int of 1 or more; default 64)", "real images per step"):
        assert words in done.stdout
    assert "did you mean train?" in done.stderr
    assert "did you mean seed?" in done.stderr


def test_a_reader_that_has_gone_is_no_failure():
    command = [sys.executable, "-m", "jaxgan.main", "--help"]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as told:
        told.stdout.close()
        assert (told.stderr.read(), told.wait()) == (b"", 0)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--mode=trian", "--workdir=w"], "did you mean train?"),
        (["--workdir=w", "--kind=grid"], "--kind: --mode=train has no such flag"),
        (["--workdir=w", "--mode=sample", "--cuont=3"], "did you mean count?"),
        (["train"], "'train': expected flags"),
        (["--workdir"], "--workdir needs a value"),
        (["--mode=sample"], "--workdir is missing"),
        (["--mode=sample", "--workdir=w", "--config.seed=1"], "config unchanged"),
        (["--workdir=", "--config=x.py"], "--workdir is missing"),
        (["--workdir=w"], "--config is missing"),
        (["--workdir=w", "--config=nowhere.py"], "there is no such file"),
        (["--workdir=nowhere", "--mode=evaluate"], "there is no run in it"),
        (["--mode=prepare"], "config.data.name is missing"),
    ],
)
def test_a_mistake_in_the_flags_is_one_line_and_status_2(flags, words, capsys):
    assert main(flags) == MISTAKE
    told = capsys.readouterr().err
    assert words in told
    assert told.startswith("jaxgan: ")
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("networks.generator.width=(8,)", "config.networks.generator.width does not exist; did you mean widths?"),
        ("task.adversary.loss=adversarial.hing", "did you mean 'adversarial.hinge'"),
        ("optimizers.generator.b_1=0.5", "did you mean b1?"),
        ("networks.generator.name=os.system", "is not a network"),
        ("parallel.mesh={'data':3}", "config.parallel.mesh: got {'data': 3}"),
        ("data.name=fashion_mnits", "fashion_mnist"),
        ("data.split=trian", "trian"),
        ("conditional=maybe", "config.task.condition: got 'maybe', expected labels, tokens or vectors;"),
        ("evaluation.neighbours=5000", "config.evaluation.neighbours"),
        ("networks.discriminator.widths=(2147483647,2147483647)", "the state of networks and optimizers takes"),
        ("batch_size=2147483584", "a batch of 2,147,483,584 images takes"),
        ("epochs=1e6", "config.epochs: got 1000000.0, which is 4500000000 images in batches of 64 of 4,500 examples"),
        ("images=2147483647", "config.images: got 2147483647, which is 2147483648 images in batches of 64"),
        ("networks.generator.resolution=32", "config.networks.generator.resolution: got 32, but jaxgan_digits has 28"),
        ("optimizers={}", "config.optimizers.discriminator is missing"),
        ("optimizers.generater={'name':'sgd','learning_rate':1.0}", "did you mean generator?"),
        ("optimizers.generator.scale={'generater':0.1}", "config.optimizers.generator.scale.generater does not exist"),
        ("optimizers.generator.eps=a", "config.optimizers.generator.eps: got 'a'"),
        ("task.generator_every=0", "config.task.generator_every: got 0"),
        (
            "task.adversary.label_smoothing=0.7",
            "config.task.adversary.label_smoothing: got 0.7, expected 0 on, and below 0.5",
        ),
        (
            "task.adversary.label_smoothing=0.1",
            "config.task.adversary.loss has no target for the reals",
        ),  # the hinge loss
        ("task.adversary.instance_noise=-1.0", "config.task.adversary.instance_noise: got -1.0, expected 0 or more"),
        (
            "task.adversary.instance_noise={'name':'linear','start':0.1,'images':9}",
            "config.task.adversary.instance_noise: missing",
        ),
        (
            "task.adversary.instance_noise={'name':'linear','start':0.1,'stop':-1,'images':9}",
            "instance_noise.stop: got -1",
        ),
        (
            "task.adversary.top_k={'name':'lin','start':1.0,'stop':0.5,'images':9}",
            "config.task.adversary.top_k.name: got 'lin'",
        ),
        ("networks.generator.dtype=float31", "the networks cannot be built"),
        ("networks.generator.widths=(-4,)", "generator.widths: got (-4,), expected a tuple of int of 1 or more"),
        ("checkpoint.best=frechett", "config.checkpoint.best: got 'frechett'"),
        (
            "ema.half_life_images={'name':'cosine','start':0,'stop':1,'images':0}",
            "config.ema.half_life_images.images: got 0, expected 1 or more",
        ),
    ],
)
def test_a_mistake_in_the_config_leaves_no_workdir(override, words, config, tmp_path, capsys):
    workdir = tmp_path / "run"
    assert main(["--config", config, "--workdir", str(workdir), f"--config.{override}"]) == MISTAKE
    told = capsys.readouterr().err
    assert words in told
    assert told.count("\n") == 1
    assert not workdir.exists()


@pytest.mark.slow
@pytest.mark.parametrize("batch", [4, 100_000])
def test_a_batch_larger_than_the_data_is_told(batch, config, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr("jaxgan.commands.train._train", lambda *_: INTERRUPTED)
    call = ["--config", config, "--workdir", str(tmp_path / "run"), f"--config.batch_size={batch}"]
    assert main([*call, f"--config.images={batch}"]) == INTERRUPTED
    told = " ".join("".join(capfd.readouterr()).split())
    larger = "batch 100,000 images, more than the 4,500 examples: each batch repeats some of them"
    assert (larger in told) == (batch > 4)
    assert ("100,000 images, more than" in (tmp_path / "run" / "log.txt").read_text()) == (batch > 4)


def test_an_unwritable_workdir_is_told(config, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["--config", config, "--workdir", str(tmp_path / "file" / "run")]) == MISTAKE
    assert "cannot be made" in capsys.readouterr().err


@pytest.mark.parametrize(("error", "status"), [(TrainingGaveUp("x"), GAVE_UP), (KeyboardInterrupt(), CTRL_C)])
def test_exit_statuses(error, status, config, monkeypatch, tmp_path):
    def run(*_):
        raise error

    monkeypatch.setattr("jaxgan.commands.train.run", run)
    assert main(["--config", config, "--workdir", str(tmp_path / "run")]) == status
