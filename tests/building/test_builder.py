"""Building objects from sections, and the errors for invalid sections."""

import sys

import pytest

from jaxgan.building.assemble import fill_in, make_task
from jaxgan.building.builder import (
    KINDS,
    build,
    changed,
    check_section,
    check_sections,
    examples,
    find,
    kind_in,
    parameters_of,
    unreadable,
)
from jaxgan.config.overrides import resolve
from jaxgan.data.sources import DataSpec
from jaxgan.errors import UserError
from jaxgan.fields import picture_fields
from jaxgan.losses.adversarial import hinge
from jaxgan.losses.reconstruction import charbonnier
from jaxgan.models.dcgan import Generator
from jaxgan.models.mlp import Discriminator
from jaxgan.regularizers.gradient_penalty import r1
from jaxgan.tasks.penalty import Penalty
from jaxgan.tasks.restoration import Content

TREE = {
    "networks": {
        "generator": {"name": "dcgan.Generator", "widths": (8,)},
        "discriminator": {"name": "dcgan.Discriminator", "widths": (8,)},
    },
    "task": {"name": "generation.Generation", "adversary": {"loss": "adversarial.hinge"}, "latent_dim": 4},
    "optimizers": {"generator": {"name": "adam", "learning_rate": 1e-3}},
    "data": {"name": "jaxgan_digits"},
    "images": 640,
}

GENERATOR = TREE["networks"]["generator"]


@pytest.mark.quick
def test_a_section_is_the_arguments_of_one_constructor():
    section = {"name": "dcgan.Generator", "widths": (8,), "channels": 1}
    network = build(section, "network", fill={"resolution": 8, "channels": 3, "latent_dim": 5})
    assert network == Generator(resolution=8, channels=1, widths=(8,))
    assert build({"name": "adversarial.hinge"}, "loss") is hinge
    section = {"name": "gradient_penalty.r1", "gamma": 2.0, "every": 16}
    assert build(section, "regularizer") == Penalty("r1", r1, {"gamma": 2.0}, every=16)
    section = {"name": "reconstruction.charbonnier", "epsilon": 0.1, "weight": 3.0}
    assert build(section, "content") == Content("charbonnier", charbonnier, 3.0, {"epsilon": 0.1})


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
        ({"name": "adversary.Adversary"}, "task", "is not a task"),
        ({"name": "Generator"}, "network", "expected module.Name"),
        ({}, "network", "got None"),
        (
            {"name": "dcgan.Generator", "widhts": (8,)},
            "network",
            r"p\.widhts does not exist; did you mean widths\?",
        ),
        (
            {"name": "dcgan.Generator", "norm": "layer"},
            "network",
            r"p\.norm: got 'layer', expected 'batch' or 'none'",
        ),
        (
            {"name": "dcgan.Generator", "resolution": "8"},
            "network",
            r"p\.resolution: got '8', expected int",
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
    section = {"name": "gradient_penalty.r1", "gamma": 1.0, "every": 16, "method": "finite_difference"}
    check_section(section, "regularizer", path="p")
    for section, words in (
        ({"name": "gradient_penalty.r1", "gama": 1.0}, "did you mean gamma"),
        ({"name": "gradient_penalty.r1", "critic": 1.0}, "p.critic does not exist"),
        ({"name": "gradient_penalty.r1", "method": "fast"}, "'exact' or 'finite_difference'"),
        ({"name": "gradient_penalty.r1", "every": 0}, "p.every: got 0"),
        ("r1", "expected a section"),
    ):
        with pytest.raises(UserError, match=words):
            check_section(section, "regularizer", path="p")


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


ELSEWHERE = """
from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from jaxgan.config.domains import Count, Given
from jaxgan.game import Network

if TYPE_CHECKING:
    from elsewhere import Unknown


@dataclasses.dataclass(frozen=True)
class Several:
    first: Network
    others: tuple[Network, ...] = ()
    named: Mapping[str, Network] = dataclasses.field(default_factory=dict)
    maybe: Network | None = None
    spread: Count = 1
    resolution: Given[int] = 0
    unknown: Unknown = None

    def init(self, *args):
        return {}

    apply = init


def penalty(critic: Given[object], *, strength: Count = 1):
    return 0.0


def no_penalty(critic):
    return 0.0


class NoTask:
    def init(self):
        pass
"""


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    (tmp_path / "elsewhere_parts.py").write_text(ELSEWHERE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield {"allow": ("elsewhere_parts",), "path": "p"}
    del sys.modules["elsewhere_parts"]


MLP = {"name": "mlp.Discriminator", "widths": (8,)}
SEVERAL = {
    "name": "elsewhere_parts.Several",
    "first": {"name": "elsewhere_parts.Several", "first": MLP},
    "others": (MLP, MLP),
    "named": {"one": MLP},
}


@pytest.mark.quick
def test_parts_within_parts_are_made_as_the_annotations_say(elsewhere):
    made, mlp = build(SEVERAL, "network", **elsewhere), Discriminator(widths=(8,))
    assert (made.first.first, made.others, made.named, made.maybe) == (mlp, (mlp, mlp), {"one": mlp}, None)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"first": 3}, r"p\.first: got 3, expected a section with a name$"),
        ({"maybe": 3}, r"p\.maybe: got 3, expected a section with a name, or None"),
        ({"others": MLP}, r"p\.others: got .*, expected a tuple of sections"),
        ({"named": (MLP,)}, r"p\.named: got .*, expected sections by name"),
        ({"first": {**SEVERAL["first"], "spread": 0}}, r"p\.first\.spread: got 0, expected 1 or more"),
        ({"others": (MLP, {**MLP, "width": 3})}, r"p\.others\.1\.width does not exist; did you mean widths\?"),
        (
            {"named": {"one": {"name": "mlp.Discriminater"}}},
            r"p\.named\.one\.name: .* did you mean 'mlp.Discriminator'",
        ),
        ({"others": ({"name": "elsewhere_parts.Several"},)}, r"p\.others\.0\.first is missing"),
        (
            {"named": {"one": {"name": "adversarial.hinge"}}},
            r"p\.named\.one\.name: 'adversarial.hinge' is not a network",
        ),
    ],
)
def test_so_they_are_checked(change, words, elsewhere):
    with pytest.raises(UserError, match=words):
        check_section({**SEVERAL, **change}, "network", **elsewhere)


@pytest.mark.quick
def test_what_is_filled_in_may_stand_in_the_section_as_in_a_saved_one(elsewhere):
    filled = {**SEVERAL, "resolution": 32}
    assert build(filled, "network", **elsewhere) == build(SEVERAL, "network", fill={"resolution": 32}, **elsewhere)
    with pytest.raises(UserError, match=r"p\.resolution: got '32', expected int"):
        check_section({**SEVERAL, "resolution": "32"}, "network", **elsewhere)


@pytest.mark.quick
def test_of_another_package_it_is_said_why_something_is_not_of_a_kind(elsewhere):
    check_section({"name": "elsewhere_parts.penalty", "strength": 2, "every": 4}, "regularizer", **elsewhere)
    for name, kind, words in (
        ("no_penalty", "regularizer", "is not a regularizer: none of its parameters is annotated as Given"),
        ("NoTask", "task", "is not a task: it has no .*phases, players"),
        ("Several", "content", "is not a content: it is not a function"),
        ("penalty", "network", "is not a network: it is not a class"),
        ("penalty", "loss", "is not a loss: it is not an AdversarialLoss"),
    ):
        with pytest.raises(UserError, match=words):
            find({"name": f"elsewhere_parts.{name}"}, kind, **elsewhere)


def constructors():
    """Everything in jaxgan that a section can name, except losses, which take no arguments."""
    return {name: find({"name": name}, kind, path="p") for kind in KINDS if kind != "loss" for name in examples(kind)}


@pytest.mark.quick
def test_every_annotation_of_every_public_constructor_can_be_resolved(elsewhere):
    found = constructors()
    assert len(found) > 60
    assert {name: unreadable(each) for name, each in found.items() if unreadable(each)} == {}
    assert unreadable(find({"name": SEVERAL["name"]}, "network", **elsewhere)) == ["unknown"]


@pytest.mark.quick
def test_every_kind_is_asked_for_by_an_annotation_and_has_a_home():
    asked = {kind_in(each.annotation) for found in constructors().values() for each in parameters_of(found).values()}
    assert asked - {None} == KINDS.keys() - {"task", "evaluator"}  # which the config asks for
    assert [kind for kind in KINDS if not examples(kind)] == []


@pytest.mark.quick
def test_a_change_reaches_every_section_and_leaves_names_alone():
    section = {"name": "multiscale.Discriminator", "discriminator": {"name": "dcgan.Discriminator"}}
    paths = []

    def change(section, parameters, path):
        paths.append(path)
        return {**section, "seen": len(parameters) > 3}

    both = changed(section, "network", change, path="p")
    assert (paths, both["seen"], both["discriminator"]["seen"]) == (["p.discriminator", "p"], True, True)
    assert changed(TREE["task"], "task", lambda section, *_: section, path="p") == TREE["task"]


@pytest.mark.quick
@pytest.mark.parametrize(
    ("networks", "words"),
    [
        (
            {"generater": GENERATOR, "discriminator": MLP},
            r"\.generater: generation\.Generation uses .* mean generator\?",
        ),
        ({"generator": GENERATOR}, r"config\.networks\.discriminator is missing: config\.task\.adversary needs it"),
        ({"discriminator": MLP}, r"config\.networks\.generator is missing: config\.task needs it"),
        (
            {"generator": GENERATOR, "discriminator": MLP, "critic": MLP},
            r"networks\.critic: \w+\.\w+ uses no such network; expected one of discriminator, generator",
        ),
    ],
)
def test_a_network_that_nothing_uses_or_that_is_missing_is_told(networks, words):
    with pytest.raises(UserError, match=words) as mistake:
        check_sections(resolve({**TREE, "networks": networks}, {}))
    assert "\n" not in str(mistake.value)


@pytest.mark.quick
def test_an_adversary_is_a_section_of_its_task_that_names_its_network():
    for key, text, words in (
        ("network_name", "x", "network_name does not exist"),
        ("player", "x", "player does not exist"),
        ("beside", "x", "beside does not exist"),
        ("network", "3", "network: got 3, expected str"),
        ("pack", "0", "pack: got 0, expected 1 or more"),
    ):
        with pytest.raises(UserError, match=rf"config\.task\.adversary\.{words}"):
            check_sections(resolve(TREE, {f"task.adversary.{key}": text}))
    for text, words in (("{}", r"\.loss is missing"), ("None", ": got None, .* section"), ("3", ": got 3, .* section")):
        with pytest.raises(UserError, match=rf"config\.task\.adversary{words}"):
            check_sections(resolve(TREE, {"task.adversary": text}))
    with pytest.raises(UserError, match=r"config\.networks\.critic is missing: config\.task\.adversary needs it"):
        check_sections(resolve({**TREE, "networks": {"generator": GENERATOR}}, {"task.adversary.network": "critic"}))
    task = {key: value for key, value in TREE["task"].items() if key != "adversary"}
    with pytest.raises(UserError, match=r"config\.task\.adversary is missing"):
        check_sections(resolve({**TREE, "task": task}, {}))
    restoration = {"name": "restoration.Restoration", "content": ({"name": "reconstruction.l1"},)}
    check_sections(resolve({**TREE, "task": restoration, "networks": {"generator": GENERATOR}}, {}))


@pytest.mark.quick
def test_all_sections_are_checked_without_making_anything():
    check_sections(resolve(TREE, {}))
    for key, text, words in (
        ("networks.generator.width", "(8,)", "config.networks.generator.width does not exist"),
        ("task.adversari", "'x'", "config.task.adversari does not exist; did you mean adversary"),
        ("task.adversary.los", "'x'", "config.task.adversary.los does not exist; did you mean loss"),
        ("task.adversary.loss", "adversarial.hing", "config.task.adversary.loss.name"),
        ("optimizers.generator.name", "adm", "config.optimizers.generator.name"),
        ("task.adversary.penalties", "3", "config.task.adversary.penalties: got 3, expected a tuple of sections"),
        ("task.generator", "'x'", "config.task.generator: .* expected config.networks.generator"),
        ("ema.half_life_images", "{'name': 'cos'}", "config.ema.half_life_images.name: got 'cos'"),
    ):
        with pytest.raises(UserError, match=words):
            check_sections(resolve(TREE, {key: text}))


@pytest.mark.quick
@pytest.mark.parametrize("kind", ["generation.Generation", "restoration.Restoration"])
def test_a_task_with_an_adversary_has_the_keys_of_it(kind):
    penalties = ({"name": "gradient_penalty.r1"},)
    adversary = {"loss": "adversarial.hinge", "augment": {"name": "ada.ADA"}, "max_accuracy": 0.8, "top_k": 0.5}
    more = {"pack": 2, "class_weight": 0.5, "penalties": penalties, "network": "discriminator"}
    task = {"name": kind, "adversary": adversary | more, "generator_penalties": penalties}
    if kind == "restoration.Restoration":
        task["content"] = ({"name": "reconstruction.l1"},)
    check_sections(resolve({**TREE, "task": task}, {}))
    for key, value, words in (
        ("max_accuracy", "1.5", "max_accuracy: got 1.5, expected float from 0 to 1"),
        ("max_acuracy", "0.5", "max_acuracy does not exist; did you mean max_accuracy"),
    ):
        with pytest.raises(UserError, match=rf"config\.task\.adversary\.{words}"):
            check_sections(resolve({**TREE, "task": task}, {f"task.adversary.{key}": value}))


TWOS, SPEC = ("elsewhere_two",), DataSpec("digits", "train", 100, picture_fields(16, 16, 1), "0" * 16)
TWO = """
import dataclasses
from collections.abc import Mapping

from jaxgan.config.domains import Given
from jaxgan.game import Network
from jaxgan.tasks.adversary import Adversary
from jaxgan.tasks.generation import Generation


@dataclasses.dataclass(frozen=True)
class Clips(Generation):
    further: Mapping[str, Adversary] = dataclasses.field(default_factory=dict)
    teacher: Given[Network] = None
"""


@pytest.mark.quick
def test_a_task_has_as_many_adversaries_as_it_wants_each_with_a_network_of_its_own(tmp_path, monkeypatch):
    (tmp_path / "elsewhere_two.py").write_text(TWO)
    monkeypatch.syspath_prepend(str(tmp_path))
    networks = {**TREE["networks"], "critic": MLP, "judge": {**MLP, "widths": (4,)}}
    further = {"a": {"loss": "adversarial.hinge", "network": "critic"}, "b": {"loss": "adversarial.hinge"}}
    tree = {**TREE, "task": {**TREE["task"], "name": "elsewhere_two.Clips", "further": further}, "networks": networks}
    with pytest.raises(UserError, match=r"\.networks\.judge: \w+\.\w+ uses no such network"):
        check_sections(resolve(tree, {"task.further.b": "None", "task.further": repr({"a": further["a"]})}), TWOS)
    with pytest.raises(UserError, match=r"task\.further\.b\.network: got 'discriminator', which another part has"):
        check_sections(resolve(tree, {}), TWOS)
    config = resolve(tree, {"task.further.b.network": "judge"})
    check_sections(config, TWOS)
    made = make_task(fill_in(config, SPEC, TWOS), TWOS)
    judges = {name: (each.network_name, each.player, each.network.widths) for name, each in made.further.items()}
    assert judges == {"a": ("critic", "critic", (8,)), "b": ("judge", "judge", (4,))}
    assert (made.adversary.network_name, made.adversary.network.widths, made.teacher) == ("discriminator", (8,), None)
    del sys.modules["elsewhere_two"]
