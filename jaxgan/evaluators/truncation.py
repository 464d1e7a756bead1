"""The trade-off of truncation: scores of a generator at several values of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from jaxgan.errors import UserError
from jaxgan.evaluators.evaluator import Evaluator, Generate, Trained

PSI = (0.3, 0.5, 0.7, 0.85, None)  # for generators with styles
THRESHOLDS = (0.25, 0.5, 1.0, 1.5, 2.0, None)  # for latents
SHOWN = ("precision", "recall")  # reported besides the evaluator's first score


class Truncated(NamedTuple):
    """The scores at one value of truncation (None: no truncation), by name without their features."""

    truncation: float | None
    scores: dict[str, float]


def truncation_sweep(
    generate: Callable[[float | None], Generate],
    evaluator: Evaluator,
    values: Sequence[float | None],
    seed: int,
) -> list[Truncated]:
    """Quality, precision and recall at each value, of samples from the same latents.

    Scores that the evaluator does not compute are left out. Raises UserError if its first score is not finite.
    """
    best = evaluator.names[0]
    names = [name for name in dict.fromkeys((best, *SHOWN)) if name in evaluator.names]
    swept = []
    for value in values:
        found = evaluator.run(Trained(generate(value)), seed)
        scores = {name.partition("/")[0]: score for name, score in found.items()}
        if best not in scores:
            raise UserError(f"--truncation: got {value}, at which {best} is not finite")
        swept.append(Truncated(value, {name: scores[name] for name in names if name in scores}))
    return swept
