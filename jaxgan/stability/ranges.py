"""What is normal for each adversarial loss: one row a loss, with the reason. No jax."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from jaxgan.config.run import ADVERSARY, RunConfig, Section, WatchConfig


class Normal(NamedTuple):
    """The range in which the discriminator of a game is healthy."""

    finished_loss: float | None  # its loss (without penalties) below it has nothing left to gain; None: never so
    widest_gap: float  # between the mean logits of reals and fakes; beyond it they diverge
    reason: str
    penalties: tuple[str, ...] = ()  # the names of those that are part of its loss
    path: str = ADVERSARY  # its section in the config


# finished: about a hundredth of the loss at chance, where it is 2 log 2, log 2, 1/4 and 2
LOSSES: Mapping[str, Normal] = {
    "minimax": Normal(0.01, 50.0, "a sigmoid is flat beyond +-20, and with it the generator's gradient"),
    "non_saturating": Normal(0.01, 50.0, "an accuracy near 1 is common and no harm; a sigmoid is flat beyond +-20"),
    "least_squares": Normal(0.0025, 10.0, "its targets are 0 and 1"),
    "hinge": Normal(0.02, 20.0, "nothing is gained beyond -1 and 1, so logits stay near them"),
    "wasserstein": Normal(None, 1000.0, "logits have no bound, but a 1-Lipschitz critic cannot part images further"),
    "relativistic": Normal(0.007, 50.0, "only the difference of a pair counts; both logits may drift together"),
    "relativistic_average": Normal(0.014, 50.0, "only differences from the other mean count; all logits may drift"),
}
UNKNOWN = Normal(0.01, 1000.0, "a loss of your own: nothing is known of its logits")
ZERO_CENTRED = ("r1", "r2")  # they pull the slope to 0, so a gap stays far smaller
TIGHTER = 0.5
ENTROPY = ("minimax", "non_saturating")  # with smoothed labels the loss of a perfect discriminator is their entropy


def normal_ranges(config: RunConfig) -> dict[str, Normal]:
    """The normal range of each adversary of a run, by its player."""
    found = config.adversaries.items()
    return {player: normal_range(each.section, config.watch)._replace(path=each.path) for player, each in found}


def normal_range(adversary: Section, watch: WatchConfig | None = None) -> Normal:
    """The normal range of the game of an adversary, by its section; what `watch` says explicitly (not None) wins."""
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
    """The loss of a phase without its penalties; None where it has none."""
    if f"{phase}/loss" not in metrics:
        return None
    return metrics[f"{phase}/loss"] - sum(metrics.get(f"{phase}/{name}", 0.0) for name in normal.penalties)


def _explicit(watch: WatchConfig) -> dict[str, Any]:
    values = {field.name: getattr(watch, field.name) for field in dataclasses.fields(watch)}
    return {name: values[name] for name in Normal._fields if values.get(name) is not None}
