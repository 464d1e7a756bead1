"""Arguments that a data set fills into a config, and the task that a config builds."""

import dataclasses
import re

import jax
import numpy as np
import pytest

from jaxgan.building.assemble import check_data, fill_in, frozen_weights, make_task
from jaxgan.building.builder import check_sections
from jaxgan.config.overrides import resolve
from jaxgan.config.run import DataConfig, RunConfig
from jaxgan.data.sources import DataSpec
from jaxgan.errors import UserError
from jaxgan.fields import Field, label_field, picture_fields, pixel_field
from jaxgan.game import Weights
from jaxgan.inference.sampling import Sampler
from jaxgan.training.batches import example_batch

SPEC = DataSpec("digits", "train", 100, picture_fields(16, 16, 1, tuple("0123456789")), "0" * 16)
TREE = {
    "networks": {
        "generator": {"name": "dcgan.Generator", "base_width": 4},
        "discriminator": {"name": "dcgan.Discriminator", "base_width": 4, "norm": "none"},
    },
    "task": {
        "name": "generation.Generation",
        "adversary": {"loss": "adversarial.hinge", "penalties": ({"name": "gradient_penalty.r1", "gamma": "auto"},)},
        "latent_dim": 3,
    },
    "optimizers": {key: {"name": "sgd", "learning_rate": 0.1} for key in ("generator", "discriminator")},
    "data": {"name": "digits"},
    "batch_size": 8,
    "images": 8,
}
LABELLED = {**TREE["task"], "condition": "label"}
MULTISCALE = {"name": "multiscale.Discriminator", "scales": 2, "discriminator": TREE["networks"]["discriminator"]}


def filled(spec=SPEC, **changes):
    config = resolve({**TREE, **changes}, {})
    check_sections(config)
    return fill_in(config, spec)


def shapes(config):
    return jax.eval_shape(lambda: make_task(config).init(jax.random.key(0), example_batch(SPEC.fields)))[0]


def test_the_data_decides_the_shape():
    config = filled()
    generator = config.networks["generator"]
    assert (generator["resolution"], generator["channels"]) == (16, 1)
    assert generator["num_classes"] == config.task["num_classes"] == 0
    assert filled(task=LABELLED).networks["discriminator"]["num_classes"] == 10


@pytest.mark.parametrize(
    ("fields", "condition", "told"),
    [
        ({"image": pixel_field(16, 16, 1, frames=4)}, None, "asks for 'image' (pixels [?, ?, ?]), digits gives it as"),
        ({"caption": Field((7,), "int32", "tokens")}, None, "digits gives 'caption' (tokens int32 [7])"),
        ({"image": Field((16, 16, 1), "uint8", "mask")}, None, "digits gives it as mask uint8 [16, 16, 1]"),
        (
            {"image": pixel_field(16, 16, 1), "label": Field((2,), "float32", "label", ("a", "b"))},
            "label",
            "asks for 'label' (label int32), digits gives it as label float32 [2] of 2 classes",
        ),
    ],
)
def test_data_that_do_not_fit_the_task_are_told_in_one_line(fields, condition, told):
    shapes = {"generator": {"resolution": 16, "channels": 1}, "discriminator": {"resolution": 16}}
    networks = {name: {**section, **shapes[name]} for name, section in TREE["networks"].items()}
    spec = dataclasses.replace(SPEC, fields=fields)
    changes = {
        "networks": networks,
        "task": {**TREE["task"], "condition": condition, "adversary": {"loss": "adversarial.hinge"}},
    }
    with pytest.raises(UserError, match=re.escape(told)) as raised:
        check_data(make_task(filled(spec, **changes)), spec)
    assert str(raised.value).startswith("config.task asks for ")
    check_data(make_task(filled(task={**TREE["task"], "condition": condition})), SPEC)


def test_auto_gamma_follows_resolution_and_batch():
    penalty = filled().task["adversary"]["penalties"][0]
    assert penalty["gamma"] == pytest.approx(0.0002 * 16**2 / 8)  # Karras et al. 2020a, appendix C
    assert make_task(filled()).adversary.penalties[0].arguments == {"gamma": penalty["gamma"]}


@pytest.mark.parametrize(
    ("way", "generator", "discriminator"),
    [
        ("concat+projection", "concat", "projection"),
        ("concat+classifier", "concat", "classifier"),
        ("norm+concat", "norm", "concat"),
    ],
)
def test_each_network_says_how_it_gets_labels(way, generator, discriminator):
    ways = {"generator": generator, "discriminator": discriminator}
    networks = {name: {**section, "conditioning": ways[name]} for name, section in TREE["networks"].items()}
    config = filled(task=LABELLED, networks=networks)
    assert config == filled(conditional=way)  # as it was said for both
    assert config.networks["generator"]["conditioning"] == generator
    assert config.networks["discriminator"]["conditioning"] == discriminator
    shapes(config)


def test_a_family_without_a_way_says_which_it_has():
    mlp = {"name": "mlp.Generator", "widths": (4,), "conditioning": "norm"}
    with pytest.raises(UserError, match=r"networks\.generator\.conditioning: got 'norm', expected 'concat'"):
        filled(networks={**TREE["networks"], "generator": mlp}, task=LABELLED)
    told = "config.task.condition: got 'label', expected labels, tokens or vectors; digits has nothing"
    with pytest.raises(UserError, match=told):
        filled(dataclasses.replace(SPEC, fields=picture_fields(16, 16, 1)), task=LABELLED)


def test_networks_within_networks_are_filled_and_built():
    config = filled(
        networks={**TREE["networks"], "discriminator": {**MULTISCALE, "conditioning": "classifier"}}, task=LABELLED
    )
    inner = config.networks["discriminator"]["discriminator"]
    assert (inner["resolution"], inner["num_classes"]) == (16, 10)
    assert set(shapes(config)["discriminator"]) == {"scale_0", "scale_1"}


def test_a_part_of_a_network_may_be_finer_than_the_data():
    def resolution(value):
        section = {**MULTISCALE, "discriminator": {**MULTISCALE["discriminator"], "resolution": value}}
        networks = filled(networks={**TREE["networks"], "discriminator": section}).networks
        return networks["discriminator"]["discriminator"]["resolution"]

    assert resolution(32) == 32
    with pytest.raises(UserError, match=r"discriminator\.discriminator\.resolution: got 24, but digits has 16"):
        resolution(24)
    generator = {**TREE["networks"]["generator"], "resolution": 32}
    with pytest.raises(UserError, match=r"networks\.generator\.resolution: got 32, but digits has 16"):
        filled(networks={**TREE["networks"], "generator": generator})
    inner = {**TREE["networks"]["discriminator"], "depth": 3}
    with pytest.raises(UserError, match=r"config\.networks\.discriminator\.discriminator\.depth does not exist"):
        filled(networks={**TREE["networks"], "discriminator": {**MULTISCALE, "discriminator": inner}})


def test_a_penalty_on_styles_wants_a_generator_with_styles():
    penalties = ({"name": "path_length.path_length", "every": 4},)
    with pytest.raises(UserError, match=r"path_length needs a generator with styles"):
        make_task(filled(task={**TREE["task"], "generator_penalties": penalties}))


def restoration(**task):
    return RunConfig(
        networks={
            "generator": {"name": "unet.Generator", "channels": 3, "base_width": 8, "halvings": 1},
        },
        task={"name": "restoration.Restoration", "degradation": {"name": "degradations.GaussianNoise"}, **task},
        optimizers={"generator": {"name": "adam", "learning_rate": 1e-3}},
        data=DataConfig("stand-in"),
        images=1,
    )


PERCEPTUAL = ({"name": "reconstruction.l1"}, {"name": "perceptual.perceptual", "layers": {"conv1_2": 1.0}})


def test_a_perceptual_loss_without_weights_is_left_out_and_told(caplog):
    config = restoration(content=PERCEPTUAL)
    check_sections(config)
    task = make_task(config)
    assert [content.name for content in task.content] == ["l1"]
    assert task.backbone is None
    assert "perceptual is left out: config.task.backbone.weights is not set" in caplog.text


def test_the_backbone_has_the_layers_that_the_losses_ask_for():
    config = restoration(content=PERCEPTUAL, backbone={"network": "vgg16", "weights": "vgg16.pth"})
    task = make_task(config)
    assert [content.name for content in task.content] == ["l1", "perceptual"]
    assert (task.backbone.network, task.backbone.module.layers) == ("vgg16", ("conv1_2",))
    with pytest.raises(UserError, match=r"'vgg16\.pth' is not a file; the weights of vgg16 are vgg16-397923af\.pth"):
        frozen_weights(config)


def test_lpips_as_a_loss_has_its_heads_and_their_layers(monkeypatch):
    heads = {"relu1_2": np.ones(64, np.float32), "relu2_2": np.ones(128, np.float32)}
    monkeypatch.setattr("jaxgan.building.assemble.lpips_heads", lambda network: {"vgg16": heads}[network])
    content = (*PERCEPTUAL, {"name": "perceptual.lpips", "weight": 0.5})
    config = restoration(content=content, backbone={"network": "vgg16", "weights": "vgg16.pth"})
    check_sections(config)
    task = make_task(config)
    assert [dict(each.arguments).get("heads") for each in task.content] == [None, None, heads]
    assert task.backbone.module.layers == ("conv1_2", "relu1_2", "relu2_2")


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ({"content": PERCEPTUAL, "backbone": {"weight": "x"}}, "config.task.backbone.weight does not exist"),
        ({"content": PERCEPTUAL, "backbone": {"network": "vgg13"}}, "task.backbone.network: got 'vgg13', expected"),
        ({"content": PERCEPTUAL, "backbone": {"weights": 3}}, "config.task.backbone.weights: got 3, expected str"),
        ({"content": PERCEPTUAL, "backbone": 3}, "config.task.backbone: got 3, expected a section, or None"),
        ({"content": ({"name": "reconstruction.l3"},)}, "'reconstruction.l3' is not a content"),
        ({"content": ({"name": "reconstruction.l1", "weight": "much"},)}, "weight: got 'much', expected float"),
        (
            {"content": ({"name": "reconstruction.l1"},), "adversarial_start": 0},
            "config.task.adversary is missing: config.task.adversarial_start requires it",
        ),
        (
            {"content": ({"name": "reconstruction.l1"},), "adversary": {"loss": "adversarial.hinge"}},
            "config.networks.discriminator is missing: config.task.adversary needs it",
        ),
    ],
)
def test_a_restoration_that_cannot_be_is_told(task, words):
    with pytest.raises(UserError, match=re.escape(words)):
        make_task(restoration(**task))


def test_a_task_that_needs_a_discriminator_says_so():
    config = dataclasses.replace(
        restoration(), task={"name": "generation.Generation", "adversary": {"loss": "adversarial.hinge"}}
    )
    with pytest.raises(
        UserError, match=r"config\.networks\.discriminator is missing: config\.task\.adversary needs it"
    ):
        check_sections(config)


def test_a_vector_of_the_data_conditions_the_networks_and_the_product():
    fields = {"image": pixel_field(16, 16, 1), "mood": Field((3,), kind="vector")}
    config = filled(dataclasses.replace(SPEC, fields=fields), task={**TREE["task"], "condition": "mood"})
    sizes = [(section["condition_dim"], section["num_classes"]) for section in config.networks.values()]
    assert sizes == [(3, 0), (3, 0)]
    task = make_task(config)
    check_data(task, dataclasses.replace(SPEC, fields=fields))
    assert str(task.products["generator"].asks["mood"]) == "vector float32 [3]"
    weights = Weights(*jax.jit(task.init)(jax.random.key(0), example_batch(fields)))
    moods = {(0, 0): np.eye(3, dtype=np.float32)[:2], (0, 1): np.eye(3, dtype=np.float32)[1:]}
    real = lambda names, seed, count: {name: moods[tuple(seed)][:count] for name in names}  # noqa: E731
    sampler = Sampler(task.products["generator"], batch_size=2, conditions=real)
    images = sampler.generate(weights, 0, 2)
    np.testing.assert_array_equal(images, sampler.generate(weights, 0, 2, given={"mood": moods[0, 0]}))
    one = sampler.generate(weights, 0, 2, given={"mood": moods[0, 0][1]})  # one for all
    np.testing.assert_allclose(one[1], images[1], atol=1e-6)
    assert np.abs(one[0] - images[0]).max() > 1e-4
    np.testing.assert_array_equal(images, sampler.share(weights, 0, 2))
    with pytest.raises(UserError, match=r"given: is missing: this model asks for 'mood' \(vector float32 \[3\]\)"):
        Sampler(task.products["generator"]).generate(weights, 0, 2)


@pytest.mark.parametrize(
    ("field", "told"),
    [
        (Field((3, 4), kind="vector"), "'mood' is vector float32 [3, 4] in digits, expected one known size"),
        (Field((None,), kind="vector"), "'mood' is vector float32 [?] in digits, expected one known size"),
        (Field((4,), "int32", "tokens"), "got 'mood', expected labels, tokens or vectors; digits has nothing"),
    ],
)
def test_a_condition_that_networks_cannot_be_told_of_is_one_line(field, told):
    fields = {"image": pixel_field(16, 16, 1), "mood": field}
    with pytest.raises(UserError, match=re.escape(f"config.task.condition: {told}")):
        filled(dataclasses.replace(SPEC, fields=fields), task={**TREE["task"], "condition": "mood"})


@pytest.mark.parametrize(
    ("condition", "field"), [("label", label_field(("0", "1"))), ("mood", Field((3,), kind="vector"))]
)
def test_a_condition_that_a_network_takes_none_of_is_one_line(condition, field):
    networks = {**TREE["networks"], "discriminator": {"name": "patchgan.Discriminator"}}
    spec = dataclasses.replace(SPEC, fields={"image": pixel_field(16, 16, 1), condition: field})
    told = f"config.task.condition: got '{condition}', but config.networks.discriminator takes none"
    with pytest.raises(UserError, match=re.escape(told)):
        make_task(filled(spec, networks=networks, task={**TREE["task"], "condition": condition}))


def test_mismatched_pairs_of_nothing_are_one_line():
    with pytest.raises(UserError, match=r"config\.task\.mismatched: got True, but images are made for nothing"):
        make_task(filled(task={**TREE["task"], "mismatched": True}))
