"""Numbers that are not finite: in the weights of a run, in what a network makes of pictures, and in samples."""

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import jaxgan
from jaxgan.errors import FINISHED, GAVE_UP, MISTAKE, SOME_FAILED, UserError
from jaxgan.inference.restorer import Restorer
from jaxgan.inference.sampling import Sampler
from jaxgan.main import main

SPOILED = 200  # the red of pixels of which the network below makes no number


def divided(condition):
    red = condition[..., :1] * 127.5 + 127.5
    return jnp.where(jnp.abs(red - SPOILED) < 0.5, jnp.nan, condition)


RESTORER = Restorer(divided, scale=1, condition_channels=3, channels=3, description="nothing", receptive_field=0)


def test_a_picture_that_becomes_no_numbers_fails_and_the_others_are_written(tmp_path, apply, capsys):
    (tmp_path / "in").mkdir()
    for name, red in (("a", 10), ("b", SPOILED), ("c", 30)):
        Image.new("RGB", (6, 4), (red, 20, 30)).save(tmp_path / "in" / f"{name}.png")
    assert apply(RESTORER, tmp_path / "in", tmp_path / "out") == SOME_FAILED
    told = capsys.readouterr().out
    assert "b.png: failed, 72 of 72 values that the network gives are not finite; it is not written" in told
    assert "2 of 3 pictures restored, 1 failed" in told
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "c.png"]


@pytest.mark.slow
def test_a_film_with_such_a_picture_fails_and_another_is_made(tmp_path, apply, capsys):
    from filming import moving

    for name, red in (("a", 10), ("b", SPOILED)):
        frames = moving(4)
        frames[:], frames[2, :, :, 0] = 10, red
        (tmp_path / name).mkdir()
        for number, frame in enumerate(frames):
            Image.fromarray(frame).save(tmp_path / name / f"{number:03}.png")
    assert apply(RESTORER, tmp_path / "a", tmp_path / "a.mp4", rate="25") == FINISHED
    assert apply(RESTORER, tmp_path / "b", tmp_path / "b.mp4", rate="25") == SOME_FAILED
    assert "values that the network gives are not finite" in capsys.readouterr().out
    assert not (tmp_path / "b.mp4").exists()


@pytest.fixture
def spoiled(monkeypatch):
    """Every second image that is drawn has one value that is no number; nothing is computed."""

    def call(self, weights, asked, part=None):
        images = np.zeros((len(asked["latent"]), 8, 8, 1), np.float32)
        images[1::2, 3, 3] = np.nan
        return images

    monkeypatch.setattr(Sampler, "__call__", call)


def test_samples_that_are_no_numbers_are_told(runs, spoiled, tmp_path, capsys):
    flags = ["--mode=sample", f"--workdir={runs['dcgan']}", "--count=4", "--provenance=false"]
    assert main([*flags, "--kind=files", f"--output={tmp_path / 'files'}"]) == SOME_FAILED
    told = capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "files").iterdir()) == ["00000.png", "00002.png"]
    assert "00001.png: failed, its values are not finite" in told
    assert "2 of the generated images have values that are not finite: these are not written" in told
    assert main([*flags, "--kind=grid", f"--output={tmp_path / 'grid.png'}"]) == SOME_FAILED
    assert "2 of the generated images have values that are not finite" in capsys.readouterr().out
    assert main([*flags, "--count=1", f"--output={tmp_path / 'one.png'}"]) == FINISHED


@pytest.mark.slow
def test_samples_that_are_no_numbers_are_not_scored(runs, spoiled, capsys):
    assert main(["--mode=evaluate", f"--workdir={runs['dcgan']}"]) == MISTAKE
    told = capsys.readouterr().err
    assert "cannot be scored: the generator's images are not finite" in told
    assert told.count("\n") == 1


@pytest.mark.slow
def test_a_run_whose_generator_has_diverged_gives_up(tmp_path, capfd):
    flags = ["--config=configs/quickstart.py", "--config.tiny=true", f"--workdir={tmp_path / 'run'}"]
    assert main([*flags, "--config.optimizers.generator.learning_rate=1e30"]) == GAVE_UP
    told = capfd.readouterr().err
    assert "training gave up: the generator's images are not finite" in told
    assert "step 0: " in told
    assert "Traceback" not in told


def test_the_library_counts_them(runs, spoiled):
    generator = jaxgan.load(runs["dcgan"])
    assert generator.lost == 0
    generator.generate(0, 5)
    assert generator.lost == 2
    with pytest.raises(UserError, match="n: got 0"):
        generator.generate(0, 0)
