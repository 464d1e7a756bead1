"""Every number that a section can have has a domain, and what is not in it is told before anything is made."""

import inspect
import math
import typing

import optax
import pytest

from jaxgan.building.builder import KINDS, check_section, check_sections, examples, find, parameters_of
from jaxgan.config.checking import check_type
from jaxgan.config.domains import MOST, Decay, Domain, PositiveNumber, Sign, Whole, domain_of
from jaxgan.config.overrides import resolve
from jaxgan.config.run import (
    CheckpointConfig,
    DataConfig,
    EmaConfig,
    EvaluationConfig,
    ParallelConfig,
    RunConfig,
    SamplesConfig,
    WatchConfig,
    fingerprint,
    from_json,
    to_json,
)
from jaxgan.errors import UserError
from jaxgan.schedules import SCHEDULES
from jaxgan.training.optimizers import CLIPS, HYPERPARAMETERS, SWITCHES

pytestmark = pytest.mark.quick

TREE = {
    "networks": {
        "generator": {"name": "dcgan.Generator", "widths": (8,)},
        "discriminator": {"name": "dcgan.Discriminator", "widths": (8,)},
    },
    "task": {
        "name": "generation.Generation",
        "adversary": {
            "loss": "adversarial.hinge",
            "penalties": ({"name": "gradient_penalty.r1"}, {"name": "drift.drift"}, {"name": "lecam.lecam"}),
            "augment": {"name": "ada.ADA"},
        },
    },
    "optimizers": {"generator": {"name": "adam", "learning_rate": 1e-3}},
    "data": {"name": "jaxgan_digits"},
    "images": 640,
}
RESTORATION = {
    **TREE,
    "task": {
        "name": "restoration.Restoration",
        "degradation": {"name": "degradations.Chain", "parts": ({"name": "degradations.Blur"},)},
        "content": ({"name": "reconstruction.charbonnier"}, {"name": "perceptual.perceptual"}),
    },
}


def lacks_domain(annotation):
    """Whether there is a bare number in an annotation."""
    if domain_of(annotation) is not None:
        return False
    return annotation in (int, float) or any(map(lacks_domain, typing.get_args(annotation)))


def constructors():
    """Everything that a section can name, and what it takes, by its name."""
    for kind in KINDS:
        for name in examples(kind) if kind != "loss" else ():
            yield f"{kind} {name}", parameters_of(find({"name": name}, kind, path="test"))
    for name, schedule in SCHEDULES.items():
        yield f"schedule {name}", parameters_of(schedule)
    sections = (CheckpointConfig, DataConfig, EmaConfig, EvaluationConfig, ParallelConfig, SamplesConfig, WatchConfig)
    for section in (*sections, RunConfig):
        yield section.__name__, parameters_of(section)


def test_every_number_of_every_constructor_has_a_domain():
    found = dict(constructors())
    assert len(found) > 60
    for name, parameters in found.items():
        for key, parameter in parameters.items():
            number = isinstance(parameter.default, int | float) and not isinstance(parameter.default, bool)
            told = f"{name}: {key}: {parameter.annotation}"
            assert not lacks_domain(parameter.annotation), told
            assert not number or "Domain(" in str(parameter.annotation), told
            if number:
                check_type(parameter.default, parameter.annotation, told)


def test_every_annotation_of_a_constructor_is_read():
    """Names that cannot be resolved would leave arguments without a type."""
    annotations = dict(constructors())["task progressive.Progressive"]
    assert domain_of(annotations["latent_dim"].annotation) == Domain(least=1, most=MOST)


def test_every_number_of_every_optimizer_has_a_domain():
    found = 0
    for name in (name for name in dir(optax) if not name.startswith("_")):
        maker = getattr(optax, name)
        parameters = inspect.signature(maker).parameters if inspect.isfunction(maker) else {}
        for key, parameter in parameters.items() if "learning_rate" in parameters else ():
            if isinstance(parameter.default, int | float) and not isinstance(parameter.default, bool):
                assert key in HYPERPARAMETERS, f"{name}: {key}"
                check_type(parameter.default, HYPERPARAMETERS[key], f"{name}: {key}")
                found += 1
    assert found > 50
    assert not set(SWITCHES) & (HYPERPARAMETERS | CLIPS).keys()


@pytest.mark.parametrize(
    ("key", "text", "accepted"),
    [
        ("optimizers.generator.learning_rate", "-1e-3", "got -0.001, expected above 0"),
        ("optimizers.generator.learning_rate", "0", "got 0, expected above 0"),
        ("optimizers.generator.learning_rate", "True", "got True, expected a number or a schedule above 0"),
        ("optimizers.generator.learning_rate", "1e400", "got inf, expected above 0, finite"),
        ("optimizers.generator.b1", "1.5", "got 1.5, expected 0 on, and below 1"),
        ("optimizers.generator.b2", "1", "got 1, expected 0 on, and below 1"),
        ("optimizers.generator.eps", "-1e-8", "got -1e-08, expected 0 or more"),
        ("optimizers.generator.clip_global_norm", "0", "got 0, expected float above 0 or None"),
        ("optimizers.generator.clip_weights", "'much'", "got 'much', expected float above 0 or None"),
        ("task.adversary.penalties.0.gamma", "-3", "got -3, expected 0 or more or 'auto'"),
        (
            "task.adversary.penalties.0.gamma",
            "'big'",
            "got 'big', expected a number or a schedule of 0 or more or 'auto'",
        ),
        ("task.adversary.penalties.0.every", "0", "got 0, expected 1 or more"),
        ("task.adversary.penalties.1.weight", "'big'", "got 'big', expected a number or a schedule of 0 or more"),
        ("task.adversary.penalties.1.weight", "None", "got None, expected a number or a schedule of 0 or more"),
        ("task.adversary.penalties.2.decay", "1.0", "got 1.0, expected 0 on, and below 1"),
        ("task.adversary.max_accuracy", "1.5", "got 1.5, expected float from 0 to 1 or None"),
        ("task.adversary.top_k", "2", "got 2, expected above 0, at most 1"),
        ("task.latent_dim", "0", "got 0, expected 1 or more"),
        ("task.latent_dim", "10000000000", "got 10000000000, expected 1 to 2147483647"),
        ("task.adversary.label_smoothing", "0.5", "got 0.5, expected 0 on, and below 0.5"),
        ("task.adversary.augment.target", "5", "got 5, expected -1 to 1"),
        (
            "task.adversary.augment.chances",
            "{'hue': 2.0}",
            "got {'hue': 2.0}, expected a section of float from 0 to 1",
        ),
        (
            "task.adversary.augment.schedule",
            "{'name': 'linear', 'start': 0.0, 'stop': 2.0, 'images': 9}",
            "schedule: got",
        ),
        ("networks.generator.widths", "(8, 0)", "got (8, 0), expected a tuple of int of 1 or more or None"),
        ("networks.generator.base_width", "2.5", "got 2.5, expected int of 1 or more"),
        (
            "ema.half_life_images",
            "{'name': 'linear', 'start': 9, 'stop': -1, 'images': 9}",
            "stop: got -1, expected",
        ),
        ("ema.rampup", "-1", "got -1, expected float of 0 or more or None"),
        ("watch.saturated_accuracy", "2.0", "got 2.0, expected 0 to 1"),
        ("watch.hung_seconds", "0", "got 0, expected float above 0 or None"),
        ("parallel.mesh.data", "0", "got {'data': 0}, expected a section of int of 1 or more or -1"),
        ("evaluation.samples", "1", "got 1, expected 2 or more"),
        ("data.cache_bytes", "-1", "got -1, expected 0 or more"),
        ("data.frames", "0", "got 0, expected int of 1 or more or None"),
        ("data.crops", "0", "got 0, expected int of 1 or more or None"),
        ("seed", "2147483648", "got 2147483648, expected 0 to 2147483647"),
        ("images", "9" * 400, "..., expected numbers of 63 bits at most"),
        ("images", "9" * 12, "got 999999999999, expected int of 1 or more or None"),
    ],
)
def test_a_number_outside_of_its_domain_is_told_with_its_path(key, text, accepted):
    with pytest.raises(UserError) as mistake:
        check_sections(resolve(TREE, {key: text}))
    told = str(mistake.value)
    assert told.startswith(f"config.{key}".rsplit(".", 1)[0])
    assert accepted in told


@pytest.mark.parametrize(
    ("key", "text", "accepted"),
    [
        ("task.degradation.parts", "({'name': 'degradations.Blur', 'sigma': -1.0},)", "sigma: got -1.0, expected"),
        ("task.degradation.parts", "({'name': 'degradations.Jpeg', 'quality': 101},)", "quality: got 101, expected"),
        ("task.degradation.parts", "({'name': 'degradations.Masks', 'width': (0.1, 2.0)},)", "width: got (0.1, 2.0)"),
        ("task.degradation.parts", "(3,)", "config.task.degradation.parts.0: got 3, expected a section"),
        ("task.content.0.epsilon", "0", "got 0, expected above 0"),
        ("task.content.0.weight", "-1", "got -1, expected 0 or more"),
        (
            "task.content.1.layers",
            "{'conv1_2': -1}",
            "layers: got {'conv1_2': -1}, expected a section of float of 0",
        ),
        ("task.content", "3", "config.task.content: got 3, expected a tuple of sections"),
        ("task.adversarial_weight", "-0.1", "got -0.1, expected 0 or more"),
    ],
)
def test_so_is_one_of_a_restoration(key, text, accepted):
    with pytest.raises(UserError) as mistake:
        check_sections(resolve(RESTORATION, {key: text}))
    assert accepted in str(mistake.value)


def test_every_value_of_a_schedule_is_in_the_domain():
    rate = {"name": "cosine", "start": 2e-4, "stop": 0.0, "images": 100}
    section = {"name": "gradient_penalty.r1", "gamma": {"name": "constant", "value": 0.0}}
    check_type(rate, PositiveNumber, "rate")  # it fades out
    check_section(section, "regularizer", path="p")
    for key, value in (("start", -1.0), ("stop", -1.0), ("stop", "0"), ("start", math.nan), ("start", False)):
        with pytest.raises(UserError, match=rf"rate\.{key}: got {value!r}, expected above 0"):
            check_type({**rate, key: value}, PositiveNumber, "rate")
    with pytest.raises(UserError, match=r"rate\.start: got 0, expected above 0"):
        check_type({**rate, "start": 0}, PositiveNumber, "rate")
    for gamma, words in (
        ({"name": "linear", "start": 1.0, "stop": -1.0, "images": 9}, r"p\.gamma\.stop: got -1\.0, expected 0 or"),
        ({"name": "linear", "start": 1.0, "stop": 2.0, "images": 0}, r"p\.gamma\.images: got 0, expected 1 or more"),
        ({"name": "linaer", "start": 1.0}, r"p\.gamma\.name: got 'linaer', expected"),
        ({"name": "linear", "start": 1.0}, r"p\.gamma: missing"),
        ({"start": 1.0}, r"p\.gamma\.name: got None"),
    ):
        with pytest.raises(UserError, match=words):
            check_section({**section, "gamma": gamma}, "regularizer", path="p")
    section = {"name": "reconstruction.charbonnier", "epsilon": {"name": "constant", "value": 1.0}}
    with pytest.raises(UserError, match=r"p\.epsilon: got \{.*\}, expected float above 0"):
        check_section(section, "content", path="p")


def test_numbers_without_end_are_told_in_a_short_line():
    for key, value in (("seed", 10**5000), ("images", 10**30)):
        with pytest.raises(UserError, match=rf"config\.{key}: got .*, expected numbers of 63 bits") as mistake:
            resolve({**TREE, key: value}, {})
        assert len(str(mistake.value)) < 300
    with pytest.raises(
        UserError, match=r"config\.networks\.generator\.dtype: got a number of too many digits, expected"
    ):
        resolve({**TREE, "networks": {"generator": {**TREE["networks"]["generator"], "dtype": -(10**5000)}}}, {})


def test_ends_belong_to_a_domain_or_not():
    assert [Domain(least=0, below=1).holds(value) for value in (0, 0.5, 1, -1, True, "1", math.nan)] == [
        *(True, True),
        *(False,) * 5,
    ]
    assert [Domain(above=0, most=1).holds(value) for value in (0, 1, 2)] == [False, True, False]
    assert [Domain(least=1, also=(-1,)).holds(value) for value in (-1, -1.0, 0, 1)] == [True, False, False, True]
    assert not Domain().holds(10**400)
    told = {Whole: "0 or more", Decay: "0 on, and below 1", Sign: "-1 to 1"}
    assert {kind: str(domain_of(kind)) for kind in told} == told


def test_a_config_with_numbers_at_the_ends_is_read_again_with_its_fingerprint():
    config = resolve(TREE, {"ema.rampup": "0", "watch.min_recall": "0", "watch.saturated_accuracy": "1.0"})
    check_sections(config)
    assert fingerprint(from_json(to_json(config))) == fingerprint(config)
