"""The normal range of each adversarial loss, with the reason. No jax."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from jaxgan.config.run import ADVERSARY, RunConfig, Section, WatchConfig


class Normal(NamedTuple):
    """The range in which a discriminator is healthy."""

    finished_loss: float | None  # below it the loss (without penalties) has nothing left to gain; None: unbounded loss
    widest_gap: float  # largest normal distance of the mean logits of reals and fakes
    reason: str
    penalties: tuple[str, ...] = ()  # names of the penalties that are part of the reported loss
    path: str = ADVERSARY  # the adversary's section in the config


# finished_loss is about a hundredth of the loss at chance: 2 log 2, log 2, 1/4 or 2
LOSSES: Mapping[str, Normal] = {
    "minimax": Normal(0.01, 50.0, "a sigmoid is flat beyond +-20, and with it the generator's gradient"),
    "non_saturating": Normal(0.01, 50.0, "an accuracy near 1 is common and harmless; a sigmoid is flat beyond +-20"),
    "least_squares": Normal(0.0025, 10.0, "its targets are 0 and 1"),
    "hinge": Normal(0.02, 20.0, "nothing is gained beyond -1 and 1, so logits stay near them"),
    "wasserstein": Normal(
        None, 1000.0, "logits are unbounded, but a 1-Lipschitz critic cannot separate images further"
    ),
    "relativistic": Normal(0.007, 50.0, "only the difference of a pair counts; both logits may drift together"),
    "relativistic_average": Normal(0.014, 50.0, "only differences from the other mean count; all logits may drift"),
}
UNKNOWN = Normal(0.01, 1000.0, "the normal logits of a custom loss are not known")
ZERO_CENTRED = ("r1", "r2")  # penalties that pull the slope to 0, so that the gap stays far smaller
TIGHTER = 0.5  # factor on the widest gap with such a penalty
ENTROPY = ("minimax", "non_saturating")  # losses whose minimum with smoothed labels is the entropy of the labels


def normal_ranges(config: RunConfig) -> dict[str, Normal]:
    """The normal range of each adversary of a run, by the name of its player."""
    found = config.adversaries.items()
    return {player: normal_range(each.section, config.watch)._replace(path=each.path) for player, each in found}


def normal_range(adversary: Section, watch: WatchConfig | None = None) -> Normal:
    """The normal range of an adversary, from its section; values set in `watch` (not None) override it."""
    normal = LOSSES.get(str(adversary.get("loss", "")).rpartition(".")[2], UNKNOWN)
    penalties = [penalty for penalty in adversary.get("penalties", ()) if isinstance(penalty, Mapping)]
    names = [(str(penalty.get("name", "")).rpartition(".")[2], penalty.get("every", 1)) for penalty in penalties]
    if any(name in ZERO_CENTRED for name, _ in names):
        normal = normal._replace(widest_gap=TIGHTER * normal.widest_gap)
    smoothing = adversary.get("label_smoothing", 0.0)
    if smoothing and str(adversary.get("loss", "")).rpartition(".")[2] in ENTROPY:
        floor = -(1.0 - smoothing) * math.log(1.0 - smoothing) - smoothing * math.log(smoothing)
        normal = normal._replace(finished_loss=(normal.finished_loss or 0.0) + floor)
    normal = normal._replace(penalties=tuple(name for name, every in names if every == 1))
    return normal if watch is None else normal._replace(**_explicit(watch))


def base_loss(metrics: Mapping[str, float], phase: str, normal: Normal) -> float | None:
    """The loss of a phase without its penalties; None if it reports no loss."""
    if f"{phase}/loss" not in metrics:
        return None
    return metrics[f"{phase}/loss"] - sum(metrics.get(f"{phase}/{name}", 0.0) for name in normal.penalties)


def wins_outright(accuracy: float, loss: float | None, normal: Normal, watch: WatchConfig) -> bool:
    """Whether a discriminator wins outright: nearly all pairs are in order and its loss has nothing left to gain.

    The accuracy alone proves nothing: near 1 it is common in healthy games, and usual for a Wasserstein critic.
    """
    if loss is None or normal.finished_loss is None:
        return False
    return accuracy >= watch.saturated_accuracy and abs(loss) < normal.finished_loss


def _explicit(watch: WatchConfig) -> dict[str, Any]:
    values = {field.name: getattr(watch, field.name) for field in dataclasses.fields(watch)}
    return {name: values[name] for name in Normal._fields if values.get(name) is not None}
