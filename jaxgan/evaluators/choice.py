"""The evaluators of a run: those named in its config, or else the default one for what it trains."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from jaxgan.building.builder import build, find, parameters_of
from jaxgan.building.opening import open_pictures, open_source
from jaxgan.config.checking import check_type
from jaxgan.config.domains import given
from jaxgan.config.run import (
    SCORER,
    CheckpointConfig,
    RunConfig,
    Section,
    scheduled,
    without,
)
from jaxgan.data.clip_frames import frames_of, of_frame
from jaxgan.data.sources import DataSpec
from jaxgan.errors import UserError
from jaxgan.evaluators.evaluator import Evaluator, fits
from jaxgan.fields import fit, name_of, text_of
from jaxgan.game import Product
from jaxgan.system.paths import cache_dir
from jaxgan.system.plain import plain

USUAL = (SCORER, "reconstruction.Reconstruction")  # defaults: the first one that fits the product is used
UNNAMED = ""  # the name of the default evaluator


class Scheduled(NamedTuple):
    """An evaluator and the number of training images between its runs; None: it runs only at the end."""

    evaluator: Evaluator
    every_images: int | None


def make_evaluators(
    config: RunConfig, product: Product, allow: Sequence[str] = (), *, only_fitting: bool = False
) -> dict[str, Scheduled]:
    """Evaluators by name. If the config names none, the default one is returned under the name `UNNAMED`.

    A constructor receives these values if it has parameters of their names: `source` and `held_out` (the training
    split, and the evaluation split or None), `pictures` (the evaluation split with each picture at its own size; for
    clips, every frame), `training` (a function that opens the training split in the same way), the product's
    `degradation`, `conditional` (whether the product takes labels), `cache_dir`, `seed`, and the fields of
    `config.evaluation`. Raises UserError for an evaluator that does not fit the product (with `only_fitting` it is
    skipped), if no evaluator fits, and for data that cannot be opened.
    """
    sections = dict[str, Section]()
    this = f"asks for {text_of(product.asks)} and gives {text_of(product.gives)}"
    for name, section in config.evaluators.items():
        found = find(section, "evaluator", path=f"config.evaluators.{name}", allow=allow)
        if fits(found, product):
            sections[name] = section
        elif not only_fitting:
            why = "{} scores what asks for {} and gives {}".format(section["name"], *found.fits)
            raise UserError(f"config.evaluators.{name}: {why}, this {this}")
    if not sections:
        usual = [name for name in USUAL if fits(find({"name": name}, "evaluator", path="config.evaluators"), product)]
        if not usual:
            raise UserError(f"config.evaluators is missing: nothing scores what {this}")
        sections[UNNAMED] = {"name": usual[0]}
    return {name: _make(config, name, section, product, allow) for name, section in sections.items()}


def with_samples(config: RunConfig, samples: int) -> RunConfig:
    """The config with this number of samples for all evaluators, replacing their own settings."""
    sections = {name: without(section, ("samples",)) for name, section in config.evaluators.items()}
    evaluation = dataclasses.replace(config.evaluation, samples=samples)
    return dataclasses.replace(config, evaluation=evaluation, evaluators=sections)


def prefixed(name: str, scores: Mapping[str, Any]) -> dict[str, Any]:
    """An evaluator's scores under the run's names: `NAME/score/features`; the default evaluator has no prefix."""
    return {f"{name}/{score}" if name else score: value for score, value in scores.items()}


def manifests(evaluators: Mapping[str, Evaluator]) -> dict[str, Any]:
    """Manifests by evaluator name; for the default evaluator its manifest itself."""
    found = {name: dict(evaluator.manifest) for name, evaluator in evaluators.items()}
    return found.get(UNNAMED, found)


def choose_best(choice: CheckpointConfig, evaluators: Mapping[str, Scheduled]) -> CheckpointConfig:
    """The checkpoint config with "auto" replaced by a score. Raises UserError for an unknown score.

    The first score of an evaluator sets `best_mode` to the evaluator's own.
    """
    firsts, names = {}, ["auto"]
    for name, (evaluator, _) in evaluators.items():
        scores = [*prefixed(name, dict.fromkeys(evaluator.names))]
        names += scores
        firsts[scores[0]] = evaluator.best_mode
    if choice.best not in names:
        raise UserError(f"config.checkpoint.best: got {choice.best!r}, expected one of {', '.join(names)}")
    best = next(iter(firsts)) if choice.best == "auto" else choice.best
    return dataclasses.replace(choice, best=best, best_mode=firsts.get(best, choice.best_mode))


def _make(config: RunConfig, name: str, section: Section, product: Product, allow: Sequence[str]) -> Scheduled:
    section, path = without(section), f"config.evaluators.{name}" if name else "config.evaluation"
    parameters = parameters_of(find(section, "evaluator", path=path, allow=allow))
    every, data = scheduled(config, name)
    apart = data.evaluation_split
    opened: Mapping[str, Callable[[], Any]] = {
        "source": lambda: open_source(data, data.split, allow),
        "held_out": lambda: None if apart == data.split else open_source(data, apart, allow),
        "pictures": lambda: frames_of(open_pictures(data, apart, allow)),
    }
    fill = {key: open_() for key, open_ in opened.items() if key in parameters and key not in section}
    for source in filter(None, fill.values()):
        _check_data(product, source.spec, path)
    own = {
        "training": lambda: frames_of(open_pictures(data, data.split, allow)),
        "degradation": product.degradation,
        "conditional": bool(product.num_classes),
        "cache_dir": str(cache_dir() / "classifiers"),
        "seed": config.seed,
    }
    fill |= {key: value for key, value in own.items() if key in parameters and given(parameters[key].annotation)}
    for key, value in vars(config.evaluation).items():
        if key in parameters and _is_of(value, parameters[key].annotation):
            fill[key] = value
    try:
        return Scheduled(build(section, "evaluator", path=path, fill=fill, allow=allow), every)
    except UserError as error:  # constructors name config.evaluation; report the path of a named evaluator instead
        raise UserError(str(error).replace("config.evaluation.", f"{path}.")) from None


def _is_of(value: Any, annotation: Any) -> bool:
    try:
        check_type(value, annotation, "")
    except UserError:
        return False
    return True


def _check_data(product: Product, spec: DataSpec, path: str) -> None:
    """Raise UserError if the sizes, channels or classes of the pictures differ from the product's."""
    if spec.classes and len(spec.classes) != (product.num_classes or len(spec.classes)):
        raise UserError(f"{path}: {plain(spec.name)} has {len(spec.classes)} classes, expected {product.num_classes}")
    pixels = name_of(product.gives, "pixels")
    asked = {name: field for name, field in product.asks.items() if field.kind == "pixels" and name in spec.fields}
    asked = {"image": product.gives[pixels]} if pixels else asked
    if not spec.image.clip:  # of the pictures that clips are restored from, every frame
        asked = {name: of_frame(field) for name, field in asked.items()}
    fit(asked, spec.fields, asker=path, giver=plain(spec.name))
