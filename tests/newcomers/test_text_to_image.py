"""External text-to-image: a source with captions and two networks, in a task of jaxgan."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from newcomer_runs import arrays, trainer
from PIL import Image

import jaxgan
from jaxgan.errors import FINISHED, MISTAKE, UserError
from jaxgan.exporting import stablehlo
from jaxgan.main import main

NAME = "text_to_image"
train = trainer(NAME, 16)  # images


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def run(runs):
    """Trained to the fourth round without a stop."""
    workdir = runs / "whole"
    if not workdir.exists():
        assert train(workdir, 4) == FINISHED
    return workdir


def test_a_resumed_run_equals_an_unbroken_one(run, runs):
    halves = runs / "halves"
    assert train(halves, 2) == FINISHED
    assert train(halves, 4) == FINISHED
    whole, resumed = arrays(run, 4), arrays(halves, 4)
    assert whole.keys() == resumed.keys()
    for name, array in whole.items():
        np.testing.assert_array_equal(array, resumed[name], err_msg=name)
    assert "mismatched_logits" in (run / "scalars.jsonl").read_text()


def test_other_words_give_other_pictures(run, tmp_path):
    model = jaxgan.load(run, allow=(NAME,))
    assert str(model.asks["caption"]) == "tokens int32 [4] of 15 names"
    images = {text: model.generate(0, 3, given={"caption": text}) for text in ("a thin one", "a bold seven")}
    assert np.abs(images["a thin one"] - images["a bold seven"]).max() > 1e-3
    both = model.generate(0, 3, given={"caption": ["a thin one", "a bold seven", "a bold seven"]})
    np.testing.assert_allclose(both[0], images["a thin one"][0], atol=1e-6)
    np.testing.assert_allclose(both[1:], images["a bold seven"][1:], atol=1e-6)
    called = model(latent=model.latents(0, 3), caption=[[1, 3, 6, 0]] * 3)["image"]
    np.testing.assert_allclose(called, images["a thin one"], atol=1e-6)
    pictures = {}
    for text in ("a thin one", "a bold seven"):
        path = tmp_path / f"{text}.png"
        flags = ["--count=2", f"--given={text}", f"--output={path}"]
        assert main(["--mode=sample", f"--allow={NAME}", f"--workdir={run}", *flags]) == FINISHED
        pictures[text] = np.asarray(Image.open(path))
    assert (pictures["a thin one"] != pictures["a bold seven"]).any()


def test_default_captions_are_those_of_real_digits(run, tmp_path):
    from text_to_image import WORDS

    model = jaxgan.load(run, allow=(NAME,))
    given = model.given(3, 200)["caption"]
    assert {" ".join(WORDS[token] for token in row).split()[0] for row in given} == {"a"}
    assert len({WORDS[row[2]] for row in given}) == 10  # all digits are among them
    np.testing.assert_array_equal(given, model.given(3, 200)["caption"])
    assert (given != model.given(4, 200)["caption"]).any()
    np.testing.assert_allclose(model.generate(3, 200), model.generate(3, 200, given={"caption": given}), atol=1e-6)
    assert main(["--mode=evaluate", f"--allow={NAME}", f"--workdir={run}"]) == FINISHED
    flags = ["--kind=interpolate", "--count=2", f"--output={tmp_path / 'walk.gif'}"]
    assert main(["--mode=sample", f"--allow={NAME}", f"--workdir={run}", *flags]) == FINISHED


@pytest.mark.parametrize("kind", ["stablehlo", "onnx"])
def test_it_is_exported_with_its_captions(run, kind, tmp_path):
    pytest.importorskip("flatbuffers" if kind == "stablehlo" else "onnxruntime")
    path = tmp_path / "painter"
    flags = [f"--allow={NAME}", f"--workdir={run}", f"--format={kind}", f"--output={path}"]
    assert main(["--mode=export", *flags]) == FINISHED
    model = jaxgan.load(run, allow=(NAME,))
    latents, caption = np.asarray(model.latents(0, 3)), model.given(0, 3)["caption"]
    if kind == "stablehlo":
        images = stablehlo.load(path)(latents, caption)
    else:
        import onnxruntime

        session = onnxruntime.InferenceSession(str(path))
        (images,) = session.run(["image"], {"latent": latents, "caption": caption})
    np.testing.assert_allclose(images, model.generate(0, 3), atol=1e-5)


@pytest.mark.parametrize("mismatched", [False, True])
def test_a_real_with_the_caption_of_another_counts_as_a_fake(mismatched):
    """The discriminator's gradient for reals with captions, at a point where it cannot separate reals from fakes."""
    from text_to_image import Critic, Painter

    from jaxgan.losses.adversarial import non_saturating
    from jaxgan.tasks.adversary import Adversary, blank_state
    from jaxgan.tasks.generation import Generation

    task = Generation(
        Painter(4, 1, 15, 4),
        Adversary(Critic(15), non_saturating),
        latent_dim=2,
        condition="caption",
        mismatched=mismatched,
    )
    caption = jnp.asarray([[1, 3, 5, 0], [1, 3, 5, 0], [1, 4, 6, 0], [1, 4, 7, 0]])
    batch = {"image": jax.random.normal(jax.random.key(0), (4, 4, 4, 1)), "caption": caption}
    state = blank_state(*task.init(jax.random.key(1), batch), {})
    generator, turn = task.phases()[-1], task.phases()[0]
    fakes, _ = task.draw(generator, state, batch, jax.random.key(2))
    loss, aux = turn.loss(state, {**batch, "fakes": fakes}, jax.random.key(3))

    def logits(image, caption):
        tree = {"params": state.params["discriminator"]}
        return task.adversary.network.apply(tree, image, caption).logits

    real, fake = logits(batch["image"], caption), logits(fakes.image, caption)
    expected = jax.nn.softplus(-real) + jax.nn.softplus(fake)
    if mismatched:  # the next caption that is another one: of rows 0 and 1 that of row 2
        wrong = logits(batch["image"], caption[jnp.asarray([2, 2, 3, 0])])
        expected = jax.nn.softplus(-real) + (jax.nn.softplus(fake) + jax.nn.softplus(wrong)) / 2
        np.testing.assert_allclose(aux.metrics["mismatched_logits"], wrong.mean(), rtol=1e-5)
    np.testing.assert_allclose(loss, expected.mean(), rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "reported"),
    [
        (
            {"task.condition": "text"},
            "config.task.condition: got 'text', expected labels, tokens or vectors; captions has 'caption' (tokens",
        ),
        ({"task.condition": "image"}, "config.task.condition: got 'image', expected labels, tokens or vectors;"),
        ({"task.condition": "None"}, "config.networks.discriminator.vocabulary is missing"),
        (
            {"networks.generator.name": "mlp.Generator"},
            "config.task.condition: got 'caption', but config.networks.generator takes none",
        ),
        (
            {"networks.discriminator.name": "dcgan.Discriminator"},
            "config.task.condition: got 'caption', but config.networks.discriminator takes none; expected one with",
        ),
        ({"networks.generator.length": "7"}, "config.networks.generator.length: got 7, but captions has 4"),
    ],
)
def test_a_mistake_in_its_condition_is_one_line(changes, reported, tmp_path, capsys):
    assert train(tmp_path / "run", 1, **changes) == MISTAKE
    error = capsys.readouterr().err.strip()
    assert reported in error
    assert "\n" not in error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("given", "reported"),
    [
        ({"caption": "a fat seven"}, "given: 'caption': got 'fat', expected words of , a, an, thin, bold, zero"),
        ({"caption": "a bold thin bold seven"}, "given: 'caption': got 5 words, expected at most 4"),
        ({"caption": np.zeros((3, 5), int)}, r"given: 'caption': got shape \(3, 5\) of int64, expected \(3, 4\)"),
        ({"caption": [99, 0, 0, 0]}, "given: 'caption': got 0 to 99, expected 0 to 14"),
        ({"label": 3}, r"given: got 'label', this model asks for 'caption' \(tokens int32 \[4\] of 15 names\)"),
    ],
)
def test_a_text_that_does_not_fit_is_one_line(run, given, reported):
    with pytest.raises(UserError, match=reported):
        jaxgan.load(run, allow=(NAME,)).generate(0, 3, given=given)


def test_flags_that_do_not_fit_are_one_line(run, capsys):
    flags = [f"--allow={NAME}", f"--workdir={run}"]
    for flag, reported in (
        ("--given=a fat seven", "--given: 'caption': got 'fat'"),
        ("--labels=3", "--labels: got some"),
    ):
        assert main(["--mode=sample", *flags, flag]) == MISTAKE
        error = capsys.readouterr().err
        assert reported in error
        assert error.count("\n") == 1
