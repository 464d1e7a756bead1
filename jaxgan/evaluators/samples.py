"""The sample grid of a run. Its latents never change, so that grids of different checkpoints are comparable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from jaxgan.evaluators.evaluator import Generate


class SampleGrid(NamedTuple):
    """Images `[rows * columns, H, W, C]`, row by row, and a label for each row if rows are classes."""

    images: np.ndarray
    columns: int
    row_labels: list[str] | None


def draw_grid(
    generate: Generate, *, rows: int, columns: int, class_names: Sequence[str] = (), seed: int = 0
) -> SampleGrid:
    """A grid of samples; with classes each row shows one, at most the first `rows` classes."""
    if not class_names:
        return SampleGrid(generate(seed, rows * columns), columns, None)
    shown = np.arange(min(rows, len(class_names)), dtype=np.int32)
    images = generate(seed, np.repeat(shown, columns))
    return SampleGrid(images, columns, [class_names[label] for label in range(len(shown))])


def generate_with(draw: Callable[[int, int, np.ndarray | None], np.ndarray]) -> Generate:
    """Convert a function of (seed, count, labels) to the form that evaluators call."""

    def generate(seed: int, asked: int | np.ndarray) -> np.ndarray:
        return draw(seed, asked, None) if isinstance(asked, int) else draw(seed, len(asked), asked)

    return generate
