"""The stability watch: checks the metrics of every round and the scores of evaluations, and raises alarms.

It keeps little state: how long each condition has held, a short window of gradient norms and a few
running means. A new watch (after a resume or a rollback) has all of it again within `patience` rounds.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from jaxgan.config.run import WatchConfig
from jaxgan.stability import remedies
from jaxgan.stability.ranges import Normal, base_loss, normal_range, wins_outright

if TYPE_CHECKING:
    from jaxgan.game import Phase

Kind = Literal[
    "nonfinite",
    "discriminator_wins",
    "discriminator_loses",
    "exploding_gradients",
    "vanishing_gradients",
    "mode_collapse",
    "motion_collapse",
    "diverging_logits",
    "overfitting",
]

WINDOW = 101  # number of gradient norms in the median
LEAST_MEDIAN = 0.1  # lower bound of that median: a first gradient after none at all is not an explosion
LOGITS = ("real_logits", "fake_logits")
HALF_LOST = 0.5  # share of the run's best recall or diversity below which the samples are collapsing
MOTIONLESS = "motion collapse, the samples hardly move or all move alike"
OVERFITTED = 0.5  # `overfitting` above which the discriminator counts as overfitted (Karras et al. 2020a, eq. 1)


@dataclasses.dataclass(frozen=True)
class Alarm:
    """A problem: what was observed, what to change, and whether the run must go back to an older checkpoint."""

    kind: Kind
    message: str
    advice: str
    fatal: bool = False


@dataclasses.dataclass
class _Episode:
    """How long a condition has held. It is raised once, and again only after it was clear for a while."""

    since: int | None = None
    clear_since: int | None = None
    raised: bool = False

    def begins(self, step: int, holds: bool, *, hold: int, clear: int) -> bool:
        """Whether the condition has now held for `hold` rounds, for the first time in this episode."""
        if holds:
            self.clear_since = None
            self.since = step if self.since is None else self.since
            if not self.raised and step - self.since + 1 >= hold:
                self.raised = True
                return True
            return False
        self.clear_since = step if self.clear_since is None else self.clear_since
        if not self.raised or step - self.clear_since + 1 >= clear:
            self.since, self.raised = None, False
        return False


class Watch:
    """Watches a run round by round, on the host; an alarm is raised once per episode.

    A phase is whatever reports a `<phase>/grad_norm`. The gradients of a lazy phase, a penalty, may be small, so only
    exploding ones count. A phase that reports an `accuracy` (the share of pairs whose real has the higher logit), or
    `real_accuracy` and `fake_accuracy`, belongs to a discriminator.
    """

    def __init__(
        self,
        config: WatchConfig,
        normal: Mapping[str, Normal] | None = None,
        *,
        phases: Sequence[Phase] = (),
        players: Mapping[str, Sequence[str]] | None = None,
    ):
        """`normal`: the normal range of each adversary, by the name of its player; see `ranges.normal_ranges`.

        `phases` and `players` (player -> the networks it owns) are the task's; the advice names them. A phase that is
        not among them is taken as the phase of a player of the same name.
        """
        self.config, self._normal = config, dict(normal or {})
        self._players = {phase.name: phase.player for phase in phases}
        self._lazy = {phase.name for phase in phases if phase.lazy}
        self._networks = dict(players or {})
        self.reset()

    def reset(self) -> None:
        """Clears all state, as after a rollback."""
        self._alarmed = False
        self._lost_in_a_row = 0
        self._episodes: dict[str, _Episode] = {}
        self._norms: dict[str, deque[float]] = {}
        self._means: dict[str, float] = {}
        self._vanished: dict[str, bool] = {}
        self._best: dict[str, float] = {}  # recall and diversity

    @property
    def good(self) -> bool:
        """Whether a checkpoint saved now is fit for a rollback: no alarm since the last save, everything finite.

        While one player is losing outright, no checkpoint is good, so that a rollback does not return to that state.
        """
        grave = ("nonfinite", "exploding/", "lost/")
        on = (episode.since is not None for name, episode in self._episodes.items() if name.startswith(grave))
        return not (self._alarmed or self._lost_in_a_row or any(on))

    def mark_saved(self) -> None:
        """Notes that a checkpoint was saved."""
        self._alarmed = False

    def observe(self, step: int, metrics: Mapping[str, float]) -> list[Alarm]:
        """The alarms raised by this round's metrics, host floats by name; call it once per round."""
        if not self.config.enabled:
            return []
        alarms = [*self._observe_gradients(step, metrics)]
        for name in _names(metrics, "grad_norm"):
            accuracy = _accuracy(metrics, name)
            if accuracy is not None:
                alarms += self._observe_game(step, metrics, name, accuracy)
        self._alarmed |= bool(alarms)
        return alarms

    def observe_scores(self, step: int, scores: Mapping[str, float]) -> list[Alarm]:
        """The alarms raised by the scores of an evaluation.

        Mode collapse: `recall/...` or `diversity/...` is too low, or fell below half of its best. Motion collapse: see
        `motionless`. Overfitting: the discriminator takes held-out images for fakes, see `overfitting`.
        """
        if not self.config.enabled:
            return []
        observers = (self._observe_variety, self._observe_motion, self._observe_held_out)
        alarms = [alarm for observe in observers for alarm in observe(step, scores)]
        self._alarmed |= bool(alarms)
        return alarms

    def _observe_variety(self, step: int, scores: Mapping[str, float]) -> Iterator[Alarm]:
        least = least_variety(self.config)
        seen: list[str] = []
        watched = {name: value for name, value in scores.items() if kind_of(name) in least}
        for name, value in watched.items():
            floor, best = least[kind_of(name)], self._best.get(name, 0.0)
            if value < floor:
                seen.append(f"{name} is {value:.3g} (least: {floor:g})")
            elif value < HALF_LOST * best:
                seen.append(f"{name} is {value:.3g} (it has been {best:.3g})")
            self._best[name] = max(best, value)
        if watched and self._begins("mode_collapse", step, bool(seen), hold=1, clear=1):
            message = f"step {step}: mode collapse, the samples lack variety: {', '.join(seen)}."
            yield Alarm("mode_collapse", message, self._advice(remedies.MORE_MODES, *self._normal))

    def _observe_motion(self, step: int, scores: Mapping[str, float]) -> Iterator[Alarm]:
        seen = motionless(scores, self.config)
        if seen is not None and self._begins("motion_collapse", step, bool(seen), hold=1, clear=1):
            advice = self._advice(remedies.MORE_MOTION, *self._normal)
            yield Alarm("motion_collapse", f"step {step}: {MOTIONLESS}: {', '.join(seen)}.", advice)

    def _observe_held_out(self, step: int, scores: Mapping[str, float]) -> Iterator[Alarm]:
        share = overfitting(scores)
        if share is not None and self._begins("overfitting", step, share > OVERFITTED, hold=1, clear=1):
            message = (
                f"step {step}: the discriminator has memorised the training images: the logits of held-out images are "
                f"{share:.0%} of the way from those of training images to those of fakes."
            )
            yield Alarm("overfitting", message, self._advice(remedies.MORE_DATA, *self._normal))

    def _observe_gradients(self, step: int, metrics: Mapping[str, float]) -> Iterator[Alarm]:
        """Non-finite rounds, exploding and vanishing gradients."""
        config = self.config
        phases = _names(metrics, "grad_norm")
        bad = [n for n in (*_names(metrics, "loss"), *phases) if not _finite(metrics, n)]
        in_a_row = metrics.get("skipped_in_a_row", 0.0)
        nonfinite = bool(bad) or in_a_row > 0
        exploded = [name for name in phases if self._explodes(name, metrics[f"{name}/grad_norm"])]
        self._lost_in_a_row = max(int(in_a_row), self._lost_in_a_row + 1) if nonfinite or exploded else 0

        where = " and ".join(dict.fromkeys(bad)) or "a loss or gradient"
        if self._begins("nonfinite", step, nonfinite, hold=1):
            message = f"step {step}: a NaN or infinity in {where}; the update was skipped."
            yield Alarm("nonfinite", message, self._advice(remedies.LOWER_RATE, *bad, *phases))
        for name in phases:
            if self._begins(f"exploding/{name}", step, name in exploded, hold=1):
                message = f"step {step}: exploding gradients of {name}, norm {metrics[f'{name}/grad_norm']:.2g}."
                yield Alarm("exploding_gradients", message, self._advice(remedies.LOWER_RATE, name))
        if self._begins("lost/rounds", step, self._lost_in_a_row >= config.max_skipped_in_a_row, hold=1):
            kind: Kind = "nonfinite" if nonfinite else "exploding_gradients"
            what = "a NaN or infinity" if nonfinite else "exploded gradients"
            message = f"step {step}: {self._lost_in_a_row} rounds in a row with {what}."
            yield Alarm(kind, message, self._advice(remedies.LOWER_RATE, *bad, *exploded, *phases), fatal=True)

        for name in phases:
            if name in self._lazy:
                continue
            self._vanished[name] = metrics[f"{name}/grad_norm"] < config.vanishing_gradient
            if self._begins(f"vanishing/{name}", step, self._vanished[name]):
                least = f"{config.vanishing_gradient:g}"
                message = f"step {step}: the gradients of {name} have vanished (norm below {least})."
                opponent = next((p for p in phases if p != name and _accuracy(metrics, p) is not None), name)
                yield Alarm("vanishing_gradients", message, self._advice(remedies.LIVELIER_LOSS, opponent))

    def _observe_game(self, step: int, metrics: Mapping[str, float], name: str, accuracy: float) -> Iterator[Alarm]:
        """The alarms of a discriminator that wins or loses, and the fatal one if its opponent no longer learns."""
        config = self.config
        normal = self._normal.get(self._players.get(name, name)) or normal_range({}, config)
        accuracy = self._mean(f"{name}/accuracy", accuracy)
        loss = base_loss(metrics, name, normal)
        loss = self._mean(f"{name}/loss", 0.0 if loss is None else loss)
        saturated = accuracy >= config.saturated_accuracy
        if self._begins(f"wins/{name}", step, wins_outright(accuracy, loss, normal, config)):
            message = f"{name} wins outright: it ranks {accuracy:.1%} of the pairs correctly, its loss is {loss:.2g}."
            yield Alarm(
                "discriminator_wins", f"step {step}: {message}", self._advice(remedies.WEAKER_DISCRIMINATOR, name)
            )
        means = [self._mean(f"{name}/{kind}", metrics.get(f"{name}/{kind}", 0.0)) for kind in LOGITS]
        gap, widest = abs(means[0] - means[1]), normal.widest_gap
        if self._begins(f"diverges/{name}", step, gap > widest):
            message = f"the logits of {name} diverge: reals and fakes are {gap:.3g} apart (normal: up to {widest:g})."
            yield Alarm("diverging_logits", f"step {step}: {message}", self._advice(remedies.BOUNDED_LOGITS, name))
        if self._begins(f"loses/{name}", step, accuracy <= config.lost_accuracy):
            message = f"{name} loses outright: it ranks {1 - accuracy:.1%} of the fakes no lower than their reals."
            yield Alarm(
                "discriminator_loses", f"step {step}: {message}", self._advice(remedies.STRONGER_DISCRIMINATOR, name)
            )

        fooled = accuracy <= 1.0 - config.saturated_accuracy
        still = any(vanished for other, vanished in self._vanished.items() if other != name)
        if self._begins(f"lost/{name}", step, still and (saturated or fooled or self._vanished.get(name, False))):
            kind: Kind = "vanishing_gradients"
            if saturated or fooled:
                kind = "discriminator_wins" if saturated else "discriminator_loses"
            message = f"{name} ranks {accuracy:.1%} of the pairs correctly and its opponent no longer learns."
            yield Alarm(
                kind,
                f"step {step}: the game is lost: {message}",
                self._advice(remedies.LIVELIER_LOSS, name),
                fatal=True,
            )

    def _explodes(self, name: str, norm: float) -> bool:
        """Whether a norm is far above the median of the window; if not, it is added to the window."""
        norms = self._norms.setdefault(name, deque(maxlen=WINDOW))
        if not math.isfinite(norm):
            return False
        if norms and norm > self.config.exploding_gradient * max(statistics.median(norms), LEAST_MEDIAN):
            return True
        norms.append(norm)
        return False

    def _begins(self, name: str, step: int, holds: bool, *, hold: int | None = None, clear: int | None = None) -> bool:
        patience = self.config.patience
        episode = self._episodes.setdefault(name, _Episode())
        return episode.begins(step, holds, hold=hold or patience, clear=clear or patience)

    def _mean(self, name: str, value: float) -> float:
        """A running mean over about a tenth of the patience, so that one odd batch does not end an episode."""
        if math.isfinite(value):
            before = self._means.get(name, value)
            self._means[name] = before + (value - before) * min(1.0, 10.0 / self.config.patience)
        return self._means.get(name, 0.0)

    def _advice(self, alternatives: Sequence[str], *names: str) -> str:
        """The alternatives in words for the first of the phases `names`: its player, first network and adversary.

        Alternatives with a `path` are left out if the config has no section for the player's adversary.
        """
        name = next(iter((*names, *self._players)), "PLAYER")
        player = self._players.get(name, name)
        path = self._normal[player].path if player in self._normal else None
        fitting = ", or ".join(each for each in alternatives if path or "{path}" not in each)
        words = fitting.format(player=player, network=next(iter(self._networks.get(player, ())), player), path=path)
        return f"{words[0].upper()}{words[1:]}."


def least_variety(config: WatchConfig) -> dict[str, float]:
    """The least value of each kind of score that measures variety; below it the samples have collapsed."""
    return {"recall": config.min_recall, "diversity": config.min_diversity}


def motionless(scores: Mapping[str, float], config: WatchConfig) -> list[str] | None:
    """The scores that show that clips hardly move or all move alike, see `jaxgan.evaluators.liveliness`.

    None if motion was not measured.
    """
    least = {"motion": config.min_motion, "motion_diversity": config.min_motion_diversity}
    found = {name: (value, least[kind_of(name)]) for name, value in scores.items() if kind_of(name) in least}
    lacking = [f"{name} is {value:.3g} (least: {floor:g})" for name, (value, floor) in found.items() if value < floor]
    return lacking if found else None


def overfitting(scores: Mapping[str, float]) -> float | None:
    """Where the logits of held-out images are between those of training images (0) and of fakes (1).

    (mean D(train) - mean D(held out)) / (mean D(train) - mean D(fake)), the r_v of Karras et al. 2020a, eq. 1, from
    logits that were all measured in the same way: see `jaxgan.evaluators.held_out`. None if they were not measured, or
    if training images do not score above the fakes.
    """
    train, held_out, fake = (scores.get(f"held_out/{name}_logits") for name in ("train", "real", "fake"))
    if train is None or held_out is None or fake is None or not train > fake:
        return None
    return (train - held_out) / (train - fake)


def _names(metrics: Mapping[str, float], metric: str) -> list[str]:
    """The phases that report a metric."""
    return [name.removesuffix(f"/{metric}") for name in metrics if name.endswith(f"/{metric}")]


def _finite(metrics: Mapping[str, float], name: str) -> bool:
    return all(math.isfinite(metrics.get(f"{name}/{metric}", 0.0)) for metric in ("loss", "grad_norm"))


def _accuracy(metrics: Mapping[str, float], name: str) -> float | None:
    """The share of pairs ranked correctly, or else the mean of the accuracies on reals and on fakes."""
    if f"{name}/accuracy" in metrics:
        return metrics[f"{name}/accuracy"]
    both = [metrics.get(f"{name}/{side}_accuracy") for side in ("real", "fake")]
    return None if None in both else sum(value for value in both if value is not None) / 2


def kind_of(name: str) -> str:
    """The kind of a score: `recall` for `recall/FEATURES` and for `EVALUATOR/recall/FEATURES`."""
    return name.split("/")[-2:][0]
