"""What an evaluator is: it scores what a run trains, and is chosen by what that asks for and gives.

It gets data and a trained product as functions, never the trainer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, NoReturn, Protocol

import numpy as np

from jaxgan.fields import Kind, name_of
from jaxgan.game import Product

# (seed, labels [n] or a count n) -> float32 images [n,H,W,C] or clips [n,T,H,W,C] in [-1, 1]. Of several processes
# all call it for scores, and each gets its share: ceil(n / processes) rows or more, as many in each, with padding
# behind the last image
Generate = Callable[[int, Any], np.ndarray]
# conditions float32 [n,h,w,C'], one or the frames of a clip in their order -> images [n,sh,sw,C] in [-1, 1]
Restore = Callable[[np.ndarray], np.ndarray]
Call = Callable[..., Mapping[str, np.ndarray]]  # arrays [B, ...] by the fields asked for -> those given


def _cannot(*_: Any, **__: Any) -> NoReturn:
    raise TypeError("the product does not do this")


class Trained(NamedTuple):
    """A product with its weights, as evaluators call it: products of latents are drawn, those of pixels restore."""

    generate: Generate = _cannot
    restore: Restore = _cannot
    call: Call = _cannot


class Evaluator(Protocol):
    """Scores a trained product. Its constructor names what it needs: see `jaxgan.evaluators.choice`."""

    fits: tuple[Kind, Kind]  # kinds of fields: one that the product asks for, and one that it gives
    best_mode: Literal["min", "max"]  # whether less or more of the first score is better

    @property
    def names(self) -> tuple[str, ...]:
        """The scores, without their features; by the first one checkpoints are compared unless the config says."""
        ...

    @property
    def manifest(self) -> Mapping[str, Any]:
        """What scores are made with (JSON). Only those of equal manifests compare."""
        ...

    def run(self, model: Trained, seed: int) -> dict[str, float]:
        """Finite scores by name, `score/features` or `score`. Of several processes all must call it."""
        ...

    def picture(self, model: Trained) -> np.ndarray | None:
        """What it shows of the model, uint8 `[H,W,C]`; None: nothing, or another process shows it."""
        ...


def fits(evaluator: type[Evaluator] | Evaluator, product: Product) -> bool:
    """Whether a product asks for and gives what an evaluator is for."""
    asked, given = evaluator.fits
    return name_of(product.asks, asked) is not None and name_of(product.gives, given) is not None
