"""From sections to objects, and the mistakes that sections can have."""

import pytest

from jaxgan.builder import accepts, build, check_regularizer, check_sections, find
from jaxgan.errors import UserError
from jaxgan.losses.adversarial import hinge
from jaxgan.models.dcgan import Generator
from jaxgan.overrides import resolve
from jaxgan.regularizers.gradient_penalty import r1

TREE = {
    "networks": {
        "generator": {"name": "dcgan.Generator", "widths": (8,)},
        "discriminator": {"name": "dcgan.Discriminator", "widths": (8,)},
    },
    "task": {"name": "generation.Generation", "loss": "adversarial.hinge", "latent_dim": 4},
    "optimizers": {"generator": {"name": "adam", "learning_rate": 1e-3}},
    "data": {"name": "jaxgan_digits"},
    "images": 640,
}


@pytest.mark.quick
def test_a_section_is_the_arguments_of_one_constructor():
    section = {"name": "dcgan.Generator", "widths": (8,), "channels": 1}
    network = build(section, "network", fill={"resolution": 8, "channels": 3, "latent_dim": 5})
    assert network == Generator(resolution=8, channels=1, widths=(8,))
    assert build({"name": "adversarial.hinge"}, "loss") is hinge
    assert build({"name": "gradient_penalty.r1", "gamma": 2.0}, "regularizer") is r1
    assert accepts(section, "network", "num_classes", path="config.networks.generator")
    assert not accepts({"name": "mlp.Discriminator"}, "network", "resolution", path="x")


@pytest.mark.quick
@pytest.mark.parametrize(
    ("section", "kind", "words"),
    [
        ({"name": "dcgan.Genrator"}, "network", "did you mean 'dcgan.Generator'"),
        ({"name": "dcgn.Generator"}, "network", "did you mean 'dcgan.Generator'"),
        ({"name": "os.system"}, "network", r"p\.name: 'os\.system' is not a network"),
        ({"name": "dcgan.nn"}, "network", "is not a network"),
        ({"name": "dcgan.Judgement"}, "network", "is not a network"),
        ({"name": "dcgan.stage_widths"}, "network", "is not a network"),
        ({"name": "adversarial.per_example"}, "loss", "is not a loss"),
        ({"name": "Generator"}, "network", "accepted is module.Name"),
        ({}, "network", "got None"),
        (
            {"name": "dcgan.Generator", "widhts": (8,)},
            "network",
            r"p\.widhts does not exist; did you mean widths\?",
        ),
        (
            {"name": "dcgan.Generator", "norm": "layer"},
            "network",
            r"p\.norm: got 'layer', accepted is 'batch' or 'none'",
        ),
        (
            {"name": "dcgan.Generator", "resolution": "8"},
            "network",
            r"p\.resolution: got '8', accepted is int",
        ),
        ({"name": "dcgan.Generator", "resolution": 8}, "network", r"p\.channels is missing"),
        ({"name": "dcgan.Generator", "parent": None}, "network", r"p\.parent does not exist"),
    ],
)
def test_a_mistake_is_named_in_one_line(section, kind, words):
    with pytest.raises(UserError, match=words) as mistake:
        build(section, kind, path="p")
    assert "\n" not in str(mistake.value)


@pytest.mark.quick
def test_a_penalty_is_checked_against_its_own_arguments():
    check_regularizer({"name": "gradient_penalty.r1", "gamma": 1.0, "every": 16, "method": "finite_difference"}, "p")
    for section, words in (
        ({"name": "gradient_penalty.r1", "gama": 1.0}, "did you mean gamma"),
        ({"name": "gradient_penalty.r1", "critic": 1.0}, "p.critic does not exist"),
        ({"name": "gradient_penalty.r1", "method": "fast"}, "'exact' or 'finite_difference'"),
        ({"name": "gradient_penalty.r1", "every": 0}, "p.every: got 0"),
        ("r1", "accepted is a section"),
    ):
        with pytest.raises(UserError, match=words):
            check_regularizer(section, "p")


@pytest.mark.quick
def test_other_packages_need_to_be_allowed(tmp_path, monkeypatch):
    (tmp_path / "elsewhere_nets.py").write_text(
        "from jaxgan.models.mlp import Generator as Base\n\n\nclass Mine(Base):\n    pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    section = {"name": "elsewhere_nets.Mine"}
    with pytest.raises(UserError, match="is not a network"):
        find(section, "network", path="p")
    assert find(section, "network", path="p", allow=("elsewhere_nets",)).__name__ == "Mine"


@pytest.mark.quick
def test_all_sections_are_checked_without_making_anything():
    check_sections(resolve(TREE, {}))
    for key, text, words in (
        ("networks.generator.width", "(8,)", "config.networks.generator.width does not exist"),
        ("task.los", "'x'", "config.task.los does not exist; did you mean loss"),
        ("task.loss", "adversarial.hing", "config.task.loss.name"),
        ("optimizers.generator.name", "adm", "config.optimizers.generator.name"),
        ("task.penalties", "3", "config.task.penalties: got 3, accepted is a tuple of sections"),
        ("task.generator", "'x'", "config.task.generator: .* accepted is config.networks.generator"),
        ("ema.half_life_images", "{'name': 'cos'}", "config.ema.half_life_images.name: got 'cos'"),
    ):
        with pytest.raises(UserError, match=words):
            check_sections(resolve(TREE, {key: text}))
