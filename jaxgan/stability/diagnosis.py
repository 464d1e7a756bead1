"""A diagnosis of a run from its logged curves, in plain words, with the config flags to change. No jax."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from jaxgan.config.run import RunConfig
from jaxgan.stability import remedies
from jaxgan.stability.ranges import Normal, base_loss, normal_range, normal_ranges, wins_outright
from jaxgan.stability.watch import HALF_LOST, MOTIONLESS, OVERFITTED, kind_of, least_variety, motionless, overfitting

Grade = Literal["fine", "unknown", "look", "bad"]  # in rising order
Subject = Literal["data", "balance", "gradients", "collapse", "motion", "overfitting", "divergence", "progress"]

RECENT = 0.25  # share of a curve, at its end, that counts as the present
FEW_IMAGES, VERY_FEW_IMAGES = 5_000, 1_000  # without augmentation: results degrade below (Karras et al. 2020a, fig. 1)
MANY_EPOCHS = 200
ROSE = 1.5  # factor of a Frechet distance over its best that counts as worse
SPIKE = 100.0  # factor of a gradient norm over its median that counts as a spike


class Finding(NamedTuple):
    """One observation from the curves, and the flags that change the config accordingly (none: nothing to change)."""

    subject: Subject
    grade: Grade
    text: str
    changes: tuple[str, ...] = ()


class Record(NamedTuple):
    """What a diagnosis is made from."""

    lines: Sequence[Mapping[str, Any]]  # of scalars.jsonl: step, images, scalars
    config: RunConfig
    rollbacks: int = 0
    data_size: int | None = None  # number of training images; None: not known

    def normal(self, judge: str) -> Normal:
        """The normal range of a discriminator, by the name of its player."""
        return normal_ranges(self.config).get(judge) or normal_range({}, self.config.watch)

    @property
    def players(self) -> tuple[str, ...]:
        """The players in alphabetical order; their main phases have the same names."""
        return tuple(sorted(self.config.optimizers))

    @property
    def judges(self) -> tuple[str, ...]:
        """The players that are discriminators: those that report an accuracy."""
        return tuple(name for name in self.players if self.curve(f"{name}/accuracy"))

    @property
    def judge(self) -> str | None:
        """The first discriminator; None if there is none."""
        return next(iter(self.judges), None)

    def called(self, judge: str) -> str:
        """The word for a discriminator in a text: its name if there are several."""
        return "discriminator" if len(self.judges) == 1 else judge

    def curve(self, name: str) -> list[float]:
        """All values of a scalar, including NaN and infinities."""
        return [line["scalars"][name] for line in self.lines if name in line["scalars"]]

    def now(self, name: str) -> float | None:
        """The median of the last quarter of a scalar's finite values; None if it has none."""
        values = [value for value in self.curve(name) if math.isfinite(value)]
        return statistics.median(values[-max(1, round(RECENT * len(values))) :]) if values else None

    def scores(self, kind: str) -> dict[str, list[tuple[int, float]]]:
        """(images, value) of all scores of a kind, such as `recall`, by name."""
        found: dict[str, list[tuple[int, float]]] = {}
        for line in self.lines:
            for name, value in line["scalars"].items():
                if kind_of(name) == kind and math.isfinite(value):
                    found.setdefault(name, []).append((line["images"], value))
        return found


def diagnose(record: Record) -> list[Finding]:
    """All findings, in the order in which a person would check; empty if nothing was logged."""
    if not record.lines:
        return []
    return [finding for look in LOOKS for finding in look(record)]


def verdict(findings: Sequence[Finding]) -> str:
    """One line that sums up all findings."""
    if not findings:
        return "verdict: nothing was logged yet; try again when the run has trained for a while"
    for subject, words in VERDICTS.items():
        if any(finding.subject == subject and finding.grade == "bad" for finding in findings):
            return f"verdict: {words}"
    look = [finding.subject for finding in findings if finding.grade == "look"]
    if look:
        return f"verdict: no failure, but check: {', '.join(dict.fromkeys(look))}"
    return "verdict: healthy"


VERDICTS: Mapping[Subject, str] = {  # most severe first
    "gradients": "broken: the gradients are not usable",
    "collapse": "collapsed: the samples lack variety",
    "motion": "collapsed: the samples hardly move, or all move alike",
    "divergence": "diverging: losses or logits are far out of their normal range",
    "balance": "out of balance: one player has lost",
    "overfitting": "overfitted: the discriminator has memorised its images",
    "data": "too little data",
    "progress": "past its best",
}


def _data(record: Record) -> Iterator[Finding]:
    size, images = record.data_size, record.lines[-1]["images"]
    if size is None:
        yield Finding("data", "unknown", "The data set could not be opened, so its size is unknown.")
        return
    epochs, adversaries = images / size, record.config.adversaries.values()
    augmented = bool(adversaries) and all(each.section.get("augment") is not None for each in adversaries)
    seen = f"{size:,} training images, each seen {epochs:.3g} times"
    if augmented or size >= FEW_IMAGES:
        yield Finding("data", "fine", f"{seen}{', augmented' if augmented else ''}.")
    else:
        few = "far too few" if size < VERY_FEW_IMAGES else "few"
        text = f"{seen}, without augmentation: {few} images, which a discriminator may memorise."
        grade: Grade = "bad" if size < VERY_FEW_IMAGES else "look" if epochs > MANY_EPOCHS else "fine"
        yield Finding("data", grade, text, () if grade == "fine" else remedies.augment(record.config, record.judge))


def _balance(record: Record) -> Iterator[Finding]:
    if record.judge is None:
        yield Finding("balance", "unknown", "No accuracy of the discriminator was logged.")
    for judge in record.judges:
        yield _balance_of(record, judge)


def _balance_of(record: Record, judge: str) -> Finding:
    watch, accuracy = record.config.watch, record.now(f"{judge}/accuracy")
    if accuracy is None:
        return Finding("balance", "unknown", f"No accuracy of the {record.called(judge)} was logged.")
    recent = {name: record.now(name) for line in record.lines[-1:] for name in line["scalars"]}
    normal = record.normal(judge)
    loss = base_loss({name: value for name, value in recent.items() if value is not None}, judge, normal)
    ranked = f"The {record.called(judge)} ranks {accuracy:.0%} of the pairs correctly{_gap_words(record, judge)}"
    if accuracy <= watch.lost_accuracy:
        text = f"{ranked}: it loses, and the generator gets no useful signal."
        return Finding("balance", "bad", text, remedies.stronger_discriminator(record.config, judge))
    if wins_outright(accuracy, loss, normal, watch):
        text = f"{ranked} and has nothing left to gain (loss {loss:.2g}): it wins outright."
        return Finding("balance", "bad", text, remedies.weaker_discriminator(record.config, judge))
    if accuracy >= watch.saturated_accuracy:
        return Finding("balance", "fine", f"{ranked}: it is ahead, which this loss tolerates ({normal.reason}).")
    return Finding("balance", "fine", f"{ranked}: both players learn.")


def _gap_words(record: Record, judge: str) -> str:
    gaps = _gaps(record, judge)
    if not gaps:
        return ""
    now, before = gaps[-1], gaps[len(gaps) // 2]
    trend = "growing" if now > 1.25 * before + 0.1 else "shrinking" if now < 0.8 * before - 0.1 else "steady"
    return f"; the gap between the logits of reals and fakes is {now:.3g}, {trend}"


def _gaps(record: Record, judge: str) -> list[float]:
    """Mean real minus mean fake logits, as a running median over a tenth of the curve."""
    pairs = zip(*(record.curve(f"{judge}/{kind}_logits") for kind in ("real", "fake")))
    gaps = [real - fake for real, fake in pairs if math.isfinite(real - fake)]
    window = max(1, len(gaps) // 10)
    return [statistics.median(gaps[max(0, i + 1 - window) : i + 1]) for i in range(len(gaps))]


def _gradients(record: Record) -> Iterator[Finding]:
    config, found = record.config, False
    skipped, rounds = int(max(record.curve("skipped"), default=0)), max(1, record.lines[-1]["step"])
    lost = [name for name in record.players if not _finite_at_end(record.curve(f"{name}/loss"))]
    if lost or skipped > 0.01 * rounds or record.rollbacks:
        found = True
        text = f"{skipped} of {rounds} rounds were skipped for NaN or infinity, with {record.rollbacks} rollbacks"
        text += f"; the last loss of the {' and the '.join(lost)} is not finite." if lost else "."
        player = (*lost, record.judge or record.players[0])[0]
        yield Finding("gradients", "bad", text, remedies.lower_rate(config, player))
    for player in record.players:
        norms = [value for value in record.curve(f"{player}/grad_norm") if math.isfinite(value)]
        now, usual = record.now(f"{player}/grad_norm"), statistics.median(norms) if norms else 0.0
        if now is None:
            continue
        if now < config.watch.vanishing_gradient:
            found = True
            text = f"The gradient of the {player} has vanished (norm {now:.2g}): it no longer learns."
            yield Finding(
                "gradients",
                "bad",
                text,
                remedies.livelier_loss(config, player if player in record.judges else record.judge),
            )
        elif now > SPIKE * max(norms[0], usual / SPIKE, 1.0) or now > config.watch.exploding_gradient:
            found = True
            text = f"The gradient of the {player} explodes: norm {now:.2g}, {norms[0]:.2g} at the start."
            yield Finding("gradients", "bad", text, remedies.lower_rate(config, player))
        elif max(norms) > SPIKE * max(usual, 0.1):
            found = True
            text = f"The gradient of the {player} has spikes: norm {max(norms):.2g}, usually {usual:.2g}."
            yield Finding("gradients", "look", text, remedies.clip(player))
    if not found:
        yield Finding("gradients", "fine", "The gradients of both players are finite and of normal size.")


def _collapse(record: Record) -> Iterator[Finding]:
    floors = {**least_variety(record.config.watch), "class_balance": 0.5}
    bad, falling, measured = [], [], []
    for kind, floor in floors.items():
        for name, points in record.scores(kind).items():
            last, best = points[-1][1], max(value for _, value in points)
            measured.append(f"{kind} {last:.3g}")
            if last < floor:
                bad.append(f"{name} is {last:.3g} (least: {floor:g})")
            elif last < HALF_LOST * best:
                falling.append(f"{name} fell from {best:.3g} to {last:.3g}")
    if not measured:
        text = "Recall and diversity were never measured, so a collapse would go unnoticed."
        yield Finding("collapse", "unknown", text, remedies.evaluate(record.config))
    elif bad or falling:
        text = f"Mode collapse: {', '.join(bad + falling)}."
        yield Finding("collapse", "bad", text, remedies.more_modes(record.config, record.judge))
    else:
        yield Finding("collapse", "fine", f"The samples are varied ({', '.join(measured)}).")


def _motion(record: Record) -> Iterator[Finding]:
    scores = {**record.scores("motion"), **record.scores("motion_diversity")}
    last = {name: points[-1][1] for name, points in scores.items()}
    lacking = motionless(last, record.config.watch)
    if lacking:
        text = f"{MOTIONLESS.capitalize()}: {', '.join(lacking)}."
        yield Finding("motion", "bad", text, remedies.more_motion(record.config, record.judge))
    elif lacking is not None:
        values = ", ".join(f"{kind_of(name)} {value:.3g}" for name, value in last.items())
        yield Finding("motion", "fine", f"The samples move, each in its own way ({values}).")


def _overfitting(record: Record) -> Iterator[Finding]:
    measured = [line["scalars"] for line in record.lines if "held_out/fake_logits" in line["scalars"]]
    if not measured:
        missing = "held-out images were logged"
        if record.curve("held_out/real_logits"):  # an older version logged these without those of the fakes
            missing = "fakes were logged beside those of held-out images"
        text = f"No logits of {missing}, so overfitting of the discriminator would go unnoticed."
        yield Finding("overfitting", "unknown", text)
        return
    share = overfitting(measured[-1])
    if share is None:
        text = "Training images do not score above the fakes, so there is no overfitting to measure."
        yield Finding("overfitting", "unknown", text)
    elif share > OVERFITTED:
        text = f"The discriminator overfits: it scores held-out images {share:.0%} of the way down to the fakes."
        yield Finding("overfitting", "bad", text, remedies.augment(record.config, record.judge))
    else:
        text = f"Held-out images score like the training images ({max(0.0, share):.0%} of the way to the fakes)."
        yield Finding("overfitting", "fine", text)


def _divergence(record: Record) -> Iterator[Finding]:
    for judge in record.judges:
        gaps, normal = _gaps(record, judge), record.normal(judge)
        if gaps and abs(gaps[-1]) > normal.widest_gap:
            whose = "" if len(record.judges) == 1 else f" of the {judge}"
            text = f"The logits{whose} diverge: reals and fakes are {gaps[-1]:.3g} apart"
            text = f"{text}; up to {normal.widest_gap:g} is normal ({normal.reason})."
            yield Finding("divergence", "bad", text, remedies.weaker_discriminator(record.config, judge))
            return
    ranges = normal_ranges(record.config).values()
    widest = max((each.widest_gap for each in ranges), default=record.normal("").widest_gap)
    for player in record.players:
        loss = record.now(f"{player}/loss")
        if loss is not None and abs(loss) > 2 * widest:
            text = f"The loss of the {player} diverges: {loss:.3g}."
            yield Finding("divergence", "bad", text, remedies.lower_rate(record.config, player))
            return
    yield Finding("divergence", "fine", "Losses and logits are in their normal range.")


def _progress(record: Record) -> Iterator[Finding]:
    for kind in ("frechet", "swd"):
        for name, points in record.scores(kind).items():
            (best_at, best), (last_at, last) = min(points, key=lambda point: point[1]), points[-1]
            if last > ROSE * best:
                text = f"{name} was best, {best:.3g}, at {best_at:,} images and is {last:.3g} now, at {last_at:,}."
                yield Finding("progress", "bad", text, ("--mode=sample --checkpoint=best", *remedies.shorter(best_at)))
            else:
                yield Finding("progress", "fine", f"{name} is {last:.3g}; its best was {best:.3g}.")
            return


def _finite_at_end(curve: Sequence[float]) -> bool:
    return not curve or math.isfinite(curve[-1])


LOOKS: tuple[Callable[[Record], Iterator[Finding]], ...] = (
    _data,
    _balance,
    _gradients,
    _collapse,
    _motion,
    _overfitting,
    _divergence,
    _progress,
)
