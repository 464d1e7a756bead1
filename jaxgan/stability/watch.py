"""The stability watch: looks at the metrics of every round and at the scores, and tells what goes wrong.

It remembers little: how long each condition has held, a short window of gradient norms and two
running means. A new watch (after a resume or a rollback) knows as much again within `patience` rounds.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from jaxgan.config.run import WatchConfig
from jaxgan.stability.ranges import Normal, base_loss, normal_range

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

WINDOW = 101  # gradient norms of which the median is taken
LEAST_MEDIAN = 0.1  # a player that starts with no gradient at all does not explode by getting one
LOGITS = ("real_logits", "fake_logits")
HALF_LOST = 0.5  # of the best recall or diversity that the run had: it is collapsing
MOTIONLESS = "motion collapse, the samples hardly move or all move alike"
OVERFITTED = 0.5  # of the way from the training images' logit to the fakes' (Karras et al. 2020a, eq. 1)

# alternatives; those that name a `path` are for players that the config has a section of an adversary for
LOWER_RATE = ("lower config.optimizers.{player}.learning_rate or set config.optimizers.{player}.clip_global_norm",)
LOWER_RATE_ALONE = "lower config.optimizers.{player}.learning_rate"
WEAKER_DISCRIMINATOR = (
    "raise gamma in {path}.penalties (or add gradient_penalty.r1 there)",
    LOWER_RATE_ALONE,
)
STRONGER_DISCRIMINATOR = (
    "raise config.optimizers.{player}.learning_rate or config.networks.{network}.widths",
    "lower gamma in {path}.penalties",
)
LIVELIER_LOSS = (
    "set {path}.loss to one that does not saturate ('adversarial.relativistic', 'adversarial.non_saturating')",
    LOWER_RATE_ALONE,
)
MORE_MODES = (
    "set {path}.loss='adversarial.relativistic' with gradient_penalty.r1 and gradient_penalty.r2 in {path}.penalties",
    "train longer (config.images), which may be all that is missing early in a run",
)
MORE_MOTION = (
    "raise config.task.frames_seen or lower config.networks.generator.motion.every, if there are such",
    "do as against mode collapse",
)
BOUNDED_LOGITS = ("add gradient_penalty.r1 to {path}.penalties or raise its gamma", LOWER_RATE_ALONE)
MORE_DATA = (
    "set {path}.augment (such as ada.ADA or diffaugment.DiffAugment)",
    "raise gamma in {path}.penalties",
    "train on more images",
)


@dataclasses.dataclass(frozen=True)
class Alarm:
    """Something that goes wrong: what was seen, what to change, and whether the run must go back."""

    kind: Kind
    message: str
    advice: str
    fatal: bool = False


@dataclasses.dataclass
class _Episode:
    """How long a condition has held. It begins once, and again only after having been clear for a while."""

    since: int | None = None
    clear_since: int | None = None
    raised: bool = False

    def begins(self, step: int, holds: bool, *, hold: int, clear: int) -> bool:
        """Whether with this round the condition has held for `hold` rounds, for the first time."""
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
    """Looks at a run round by round, on the host; every alarm is raised once an episode.

    Phases are those that report a `<phase>/grad_norm`. The gradients of a lazy one, a penalty, may explode, but may
    well be small. A phase that reports an `accuracy` (the share of pairs whose real has the higher logit), or
    `real_accuracy` and `fake_accuracy`, is a discriminator's.
    """

    def __init__(
        self,
        config: WatchConfig,
        normal: Mapping[str, Normal] | None = None,
        *,
        phases: Sequence[Phase] = (),
        players: Mapping[str, Sequence[str]] | None = None,
    ):
        """Nothing seen yet. `normal`: what is normal for each adversary, by its player: `ranges.normal_ranges`.

        `phases` and `players` (the networks that each owns) are those of the task: advice names them. A phase that is
        not among them counts as one of a player of its name.
        """
        self.config, self._normal = config, dict(normal or {})
        self._players = {phase.name: phase.player for phase in phases}
        self._lazy = {phase.name for phase in phases if phase.lazy}
        self._networks = dict(players or {})
        self.reset()

    def reset(self) -> None:
        """Forgets everything seen, as after a rollback."""
        self._alarmed = False
        self._lost_in_a_row = 0
        self._episodes: dict[str, _Episode] = {}
        self._norms: dict[str, deque[float]] = {}
        self._means: dict[str, float] = {}
        self._vanished: dict[str, bool] = {}
        self._best: dict[str, float] = {}  # recall and diversity

    @property
    def good(self) -> bool:
        """Whether a save made now is one to go back to: no alarm since the last save, all finite.

        While a game is being lost no save is good either, so that a rollback does not return to one.
        """
        grave = ("nonfinite", "exploding/", "lost/")
        on = (episode.since is not None for name, episode in self._episodes.items() if name.startswith(grave))
        return not (self._alarmed or self._lost_in_a_row or any(on))

    def mark_saved(self) -> None:
        """Tells the watch that a checkpoint was saved."""
        self._alarmed = False

    def observe(self, step: int, metrics: Mapping[str, float]) -> list[Alarm]:
        """The alarms that begin with this round's metrics, host floats by name; call it once a round."""
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
        """The alarms of an evaluation.

        Mode collapse, where `recall/...` or `diversity/...` of the samples is too low or half of its best is
        lost; motion collapse, see `motionless`; overfitting, where the discriminator takes held-out images for fakes.
        """
        if not self.config.enabled:
            return []
        observers = (self._observe_variety, self._observe_motion, self._observe_held_out)
        alarms = [alarm for observe in observers for alarm in observe(step, scores)]
        self._alarmed |= bool(alarms)
        return alarms

    def _observe_variety(self, step: int, scores: Mapping[str, float]) -> Iterator[Alarm]:
        least = {"recall": self.config.min_recall, "diversity": self.config.min_diversity}
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
            yield Alarm("mode_collapse", message, self._advice(MORE_MODES, *self._normal))

    def _observe_motion(self, step: int, scores: Mapping[str, float]) -> Iterator[Alarm]:
        seen = motionless(scores, self.config)
        if seen is not None and self._begins("motion_collapse", step, bool(seen), hold=1, clear=1):
            advice = self._advice(MORE_MOTION, *self._normal)
            yield Alarm("motion_collapse", f"step {step}: {MOTIONLESS}: {', '.join(seen)}.", advice)

    def _observe_held_out(self, step: int, scores: Mapping[str, float]) -> Iterator[Alarm]:
        share = overfitting(scores)
        if share is not None and self._begins("overfitting", step, share > OVERFITTED, hold=1, clear=1):
            message = f"step {step}: the discriminator has learnt its images by heart: held-out ones are judged"
            yield Alarm(
                "overfitting",
                f"{message} {share:.0%} of the way from them to the fakes.",
                self._advice(MORE_DATA, *self._normal),
            )

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
            yield Alarm("nonfinite", message, self._advice(LOWER_RATE, *bad, *phases))
        for name in phases:
            if self._begins(f"exploding/{name}", step, name in exploded, hold=1):
                message = f"step {step}: exploding gradients of {name}, norm {metrics[f'{name}/grad_norm']:.2g}."
                yield Alarm("exploding_gradients", message, self._advice(LOWER_RATE, name))
        if self._begins("lost/rounds", step, self._lost_in_a_row >= config.max_skipped_in_a_row, hold=1):
            kind: Kind = "nonfinite" if nonfinite else "exploding_gradients"
            what = "a NaN or infinity" if nonfinite else "exploded gradients"
            message = f"step {step}: {self._lost_in_a_row} rounds in a row with {what}."
            yield Alarm(kind, message, self._advice(LOWER_RATE, *bad, *exploded, *phases), fatal=True)

        for name in phases:
            if name in self._lazy:
                continue
            self._vanished[name] = metrics[f"{name}/grad_norm"] < config.vanishing_gradient
            if self._begins(f"vanishing/{name}", step, self._vanished[name]):
                least = f"{config.vanishing_gradient:g}"
                message = f"step {step}: the gradients of {name} have vanished (norm below {least})."
                opponent = next((p for p in phases if p != name and _accuracy(metrics, p) is not None), name)
                yield Alarm("vanishing_gradients", message, self._advice(LIVELIER_LOSS, opponent))

    def _observe_game(self, step: int, metrics: Mapping[str, float], name: str, accuracy: float) -> Iterator[Alarm]:
        """Whether the discriminator of a phase wins or loses, and whether that ends the game."""
        config = self.config
        normal = self._normal.get(self._players.get(name, name)) or normal_range({}, config)
        accuracy = self._mean(f"{name}/accuracy", accuracy)
        loss, finished = base_loss(metrics, name, normal), normal.finished_loss
        loss = self._mean(f"{name}/loss", 0.0 if loss is None else loss)
        saturated = accuracy >= config.saturated_accuracy
        # nearly all pairs apart is common in healthy games (always with a Wasserstein critic): it wins
        # outright when its loss has nothing left to gain as well
        if self._begins(f"wins/{name}", step, saturated and finished is not None and abs(loss) < finished):
            message = f"{name} wins outright: it tells {accuracy:.1%} of the pairs apart, its loss is {loss:.2g}."
            yield Alarm("discriminator_wins", f"step {step}: {message}", self._advice(WEAKER_DISCRIMINATOR, name))
        means = [self._mean(f"{name}/{kind}", metrics.get(f"{name}/{kind}", 0.0)) for kind in LOGITS]
        gap, widest = abs(means[0] - means[1]), normal.widest_gap
        if self._begins(f"diverges/{name}", step, gap > widest):
            message = f"the logits of {name} diverge: reals and fakes are {gap:.3g} apart (normal: up to {widest:g})."
            yield Alarm("diverging_logits", f"step {step}: {message}", self._advice(BOUNDED_LOGITS, name))
        if self._begins(f"loses/{name}", step, accuracy <= config.lost_accuracy):
            message = f"{name} loses outright: it judges {1 - accuracy:.1%} of the fakes as good as their reals."
            yield Alarm("discriminator_loses", f"step {step}: {message}", self._advice(STRONGER_DISCRIMINATOR, name))

        fooled = accuracy <= 1.0 - config.saturated_accuracy
        still = any(vanished for other, vanished in self._vanished.items() if other != name)
        if self._begins(f"lost/{name}", step, still and (saturated or fooled or self._vanished.get(name, False))):
            kind: Kind = "vanishing_gradients"
            if saturated or fooled:
                kind = "discriminator_wins" if saturated else "discriminator_loses"
            message = f"{name} tells {accuracy:.1%} of the pairs apart and its opponent no longer learns."
            yield Alarm(
                kind,
                f"step {step}: the game is lost: {message}",
                self._advice(LIVELIER_LOSS, name),
                fatal=True,
            )

    def _explodes(self, name: str, norm: float) -> bool:
        """Whether a norm is far above those before; only one that is not joins them."""
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
        """A running mean over about a tenth of the patience, so that one odd batch ends no episode."""
        if math.isfinite(value):
            before = self._means.get(name, value)
            self._means[name] = before + (value - before) * min(1.0, 10.0 / self.config.patience)
        return self._means.get(name, 0.0)

    def _advice(self, alternatives: Sequence[str], *names: str) -> str:
        """An advice about the player, its first network and its adversary, of the first of some phases."""
        name = next(iter((*names, *self._players)), "PLAYER")
        player = self._players.get(name, name)
        path = self._normal[player].path if player in self._normal else None
        fitting = ", or ".join(each for each in alternatives if path or "{path}" not in each)
        words = fitting.format(player=player, network=next(iter(self._networks.get(player, ())), player), path=path)
        return f"{words[0].upper()}{words[1:]}."


def motionless(scores: Mapping[str, float], config: WatchConfig) -> list[str] | None:
    """What says that clips hardly move, or all alike: see `jaxgan.evaluators.liveliness`. None: nothing says how."""
    least = {"motion": config.min_motion, "motion_diversity": config.min_motion_diversity}
    found = {name: (value, least[kind_of(name)]) for name, value in scores.items() if kind_of(name) in least}
    lacking = [f"{name} is {value:.3g} (least: {floor:g})" for name, (value, floor) in found.items() if value < floor]
    return lacking if found else None


def overfitting(scores: Mapping[str, float]) -> float | None:
    """How far held-out images are judged from the training images towards the fakes: 0 not at all, 1 like fakes.

    (mean D(train) - mean D(held out)) / (mean D(train) - mean D(fake)), the r_v of Karras et al. 2020a, eq. 1, of
    logits that were all measured in one way: see `jaxgan.evaluators.held_out`. None where they were not, or where
    training images are not judged above the fakes.
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
    """The share of pairs told apart, or else the mean of the shares of reals and of fakes judged right."""
    if f"{name}/accuracy" in metrics:
        return metrics[f"{name}/accuracy"]
    both = [metrics.get(f"{name}/{side}_accuracy") for side in ("real", "fake")]
    return None if None in both else sum(value for value in both if value is not None) / 2


def kind_of(name: str) -> str:
    """What a score is, such as `recall` of `recall/FEATURES`, or of `NAME/recall/FEATURES` by an evaluator's name."""
    return name.split("/")[-2:][0]
