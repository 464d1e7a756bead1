"""One model for all that a run trains: it says what it asks for and gives, and is called by that."""

import jax.numpy as jnp
import numpy as np
import pytest

import jaxgan
from jaxgan.checkpoints.on_disk import Average
from jaxgan.errors import MISTAKE, UserError
from jaxgan.fields import pixel_field
from jaxgan.game import Product
from jaxgan.inference.model import Model
from jaxgan.main import main
from jaxgan.models import dcgan

LATENTS = np.random.default_rng(0).normal(size=(3, 16)).astype(np.float32)
LABELS = np.array([2, 0, 9])


def test_a_model_says_what_it_asks_for_and_gives_and_is_called_by_name(runs):
    model = jaxgan.load(runs["dcgan"])
    assert {name: str(field) for name, field in model.asks.items()} == {
        "latent": "latent float32 [16]",
        "label": "label int32 of 10 classes",
        "truncation": "number float32",
    }
    assert model.asks["label"].names == model.class_names
    assert {name: str(field) for name, field in model.gives.items()} == {"image": "pixels [8, 8, 1]"}
    for truncation in ({}, {"truncation": 0.5}):
        made = model(latent=LATENTS, label=LABELS, **truncation)
        np.testing.assert_allclose(made["image"], model.synthesize(LATENTS, LABELS, **truncation), atol=1e-5)
    assert jaxgan.load(runs["dcgan"], "generator").gives == model.gives


def test_the_parts_of_a_product_are_its_whole(runs):
    model = jaxgan.load(runs["stylegan2"])
    halves = (Model(model.product.parts[name], model._average) for name in ("map", "synthesize"))
    to_style, to_image = halves
    style = to_style(latent=LATENTS, truncation=0.5)["style"]
    assert to_style.gives["style"].shape == style.shape[1:]
    np.testing.assert_allclose(
        to_image(style=style)["image"], model(latent=LATENTS, truncation=0.5)["image"], atol=1e-5
    )


def test_a_discriminator_is_a_product_too(runs):
    judge = jaxgan.load(runs["dcgan"], "discriminator")
    assert [*judge.asks] == ["image", "label"]
    images = np.random.default_rng(0).uniform(-1, 1, (3, 8, 8, 1)).astype(np.float32)
    network = dcgan.Discriminator(8, num_classes=10, widths=(8,))
    average = judge._average
    tree = {"params": average.params["discriminator"], **average.variables["discriminator"]}
    expected = network.apply(tree, jnp.asarray(images), jnp.asarray(LABELS), train=False).logits
    np.testing.assert_allclose(judge(image=images, label=LABELS)["logits"], np.ravel(expected), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "call", "words"),
    [
        (
            None,
            lambda model: model.restore(np.zeros((4, 4, 1))),
            "this model asks for 'latent' (latent float32 [16]), 'label' (label int32 of 10 classes), 'truncation' "
            "(number float32), not for pixels: use generate",
        ),
        (
            "discriminator",
            lambda model: model.generate(0, 1),
            "this model asks for 'image' (pixels [8, 8, 1]), 'label' (label int32 of 10 classes), not for a latent: "
            "use model(image=..., label=...)",
        ),
        (
            "discriminator",
            lambda model: model.restore(np.zeros((4, 4, 1))),
            "this model gives 'logits' (logits float32), not pixels: use model(image=..., label=...)",
        ),
        (
            "discriminator",
            lambda model: model(image=np.zeros((1, 8, 8, 1))),
            "this model asks for 'image' (pixels [8, 8, 1]), 'label' (label int32 of 10 classes), got 'image'",
        ),
        (
            "discriminator",
            lambda model: model(image=np.zeros((1, 8, 8, 1)), label=[0], text="x"),
            "this model asks for 'image' (pixels [8, 8, 1]), 'label' (label int32 of 10 classes), "
            "got 'image', 'label', 'text'",
        ),
    ],
)
def test_what_a_model_does_not_ask_for_is_one_line(runs, name, call, words):
    with pytest.raises(UserError) as mistake:
        call(jaxgan.load(runs["dcgan"], name))
    assert str(mistake.value) == words


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--mode=sample", "--product=judge"], "--product: got 'judge', expected one of generator, discriminator"),
        (["--mode=evaluate", "--product=judge"], "--product: got 'judge', expected one of generator, discriminator"),
        (["--mode=sample", "--product=discriminator"], "(pixels [8, 8, 1]), 'label'"),
        (["--mode=evaluate", "--product=discriminator"], "nothing scores what asks for 'image' (pixels [8, 8, 1])"),
        (["--mode=apply", "--input=a.png", "--output=b.png"], "not for pixels: use --mode=sample"),
        (
            ["--mode=export", "--format=onnx", "--output=x.onnx", "--product=discriminator"],
            "not for a latent: use model(image=..., label=...)",
        ),
    ],
)
def test_commands_choose_by_what_a_product_asks_and_gives(runs, flags, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").write_bytes(b"")
    assert main([*flags, f"--workdir={runs['dcgan']}"]) == MISTAKE
    told = capsys.readouterr().err
    assert words in told
    assert told.count("\n") == 1


def summed(weights, asked, memory):
    total = memory + weights.params["net"]["factor"] * asked["frame"]
    return {"image": total}, total


def test_a_memory_goes_from_frame_to_frame():
    frames = np.random.default_rng(0).normal(size=(4, 2, 3, 3, 1)).astype(np.float32)
    field = pixel_field(None, None, 1)  # a source's would be whole numbers, a network's are not
    product = Product(
        {"frame": field}, {"image": field}, ("net",), summed, begin=lambda _, asked: jnp.zeros_like(asked["frame"])
    )
    record = {"step": 1, "images_seen": 2, "config": {}}
    model = Model(product, Average({"net": {"factor": jnp.float32(2.0)}}, {"net": {}}, record))
    memory = None
    for number, frame in enumerate(frames):
        made = model(frame=frame, memory=memory)
        memory = made["memory"]
        np.testing.assert_allclose(made["image"], 2.0 * frames[: number + 1].sum(0), rtol=1e-5)
    np.testing.assert_allclose(model.restore(frames[0, 0]), 2.0 * frames[0, 0], rtol=1e-6)  # a picture is a first frame
