"""What truncation costs and gives: scores of a generator at several values of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from jaxgan.errors import UserError
from jaxgan.evaluators.evaluator import Evaluator, Generate, Trained

PSI = (0.3, 0.5, 0.7, 0.85, None)  # of generators with styles
THRESHOLDS = (0.25, 0.5, 1.0, 1.5, 2.0, None)  # of latents
SHOWN = ("precision", "recall")  # beside the score by which generators are compared


class Truncated(NamedTuple):
    """The scores at one value of truncation (None: without), by name without their features."""

    truncation: float | None
    scores: dict[str, float]


def truncation_sweep(
    generate: Callable[[float | None], Generate],
    evaluator: Evaluator,
    values: Sequence[float | None],
    seed: int,
) -> list[Truncated]:
    """Quality, precision and recall at each value, of samples from the same latents.

    What the evaluator does not measure is left out. Raises UserError where its first score is not finite.
    """
    best = evaluator.names[0]
    names = [name for name in dict.fromkeys((best, *SHOWN)) if name in evaluator.names]
    swept = []
    for value in values:
        found = evaluator.run(Trained(generate(value)), seed)
        scores = {name.partition("/")[0]: score for name, score in found.items()}
        if best not in scores:
            raise UserError(f"--truncation: at {value} there is no {best}, since the samples are not usable")
        swept.append(Truncated(value, {name: scores[name] for name in names if name in scores}))
    return swept
