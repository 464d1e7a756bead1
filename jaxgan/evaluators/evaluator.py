"""The interface of an evaluator, which scores the trained product and is chosen by the product's inputs and outputs.

An evaluator receives the data and the trained product as functions, never the trainer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, NoReturn, Protocol

import numpy as np

from jaxgan.fields import Kind, name_of
from jaxgan.game import Product

# (seed, labels [n] or a count n) -> float32 images [n,H,W,C] or clips [n,T,H,W,C] in [-1, 1]. With several processes
# all of them call it for scores, and each gets its share: ceil(n / processes) rows or more, the same number in each,
# with padding after the last image
Generate = Callable[[int, Any], np.ndarray]
# conditions float32 [n,h,w,C'], a single one or the frames of a clip in order -> images [n,sh,sw,C] in [-1, 1]
Restore = Callable[[np.ndarray], np.ndarray]
Call = Callable[..., Mapping[str, np.ndarray]]  # input fields, arrays [B, ...] by name -> output fields


def _cannot(*_: object, **__: object) -> NoReturn:
    raise TypeError("the product does not support this call")


class Trained(NamedTuple):
    """A trained product as functions: `generate` if its input is a latent, `restore` if it is pixels."""

    generate: Generate = _cannot
    restore: Restore = _cannot
    call: Call = _cannot


class Evaluator(Protocol):
    """Scores a trained product. Its constructor's parameters name what it needs: see `jaxgan.evaluators.choice`."""

    fits: tuple[Kind, Kind]  # the kinds of an input and an output field that the product must have
    best_mode: Literal["min", "max"]  # whether a lower or a higher first score is better

    @property
    def names(self) -> tuple[str, ...]:
        """Score names without their features. Checkpoints are compared by the first one unless the config says."""
        ...

    @property
    def manifest(self) -> Mapping[str, Any]:
        """What the scores were computed with (JSON). Only scores with equal manifests are comparable."""
        ...

    def run(self, model: Trained, seed: int) -> dict[str, float]:
        """Finite scores by name, `score/features` or `score`. All processes must call it."""
        ...

    def picture(self, model: Trained) -> np.ndarray | None:
        """A picture of the model's results, uint8 `[H,W,C]`; None if there is none or another process makes it."""
        ...


def fits(evaluator: type[Evaluator] | Evaluator, product: Product) -> bool:
    """Whether a product has an input and an output field of the evaluator's kinds."""
    asked, given = evaluator.fits
    return name_of(product.asks, asked) is not None and name_of(product.gives, given) is not None
