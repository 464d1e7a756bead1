"""How a run ends when a disk or the memory does not do, or its generator makes no images any more."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import jax

from jaxgan.checkpoints.on_disk import read_records
from jaxgan.checkpoints.workdir import Workdir
from jaxgan.errors import NotFiniteError, TrainingGaveUp, UserError
from jaxgan.system import disks

FULL = "RESOURCE_EXHAUSTED"  # by XLA
TOLD = 160  # characters of its words


@contextlib.contextmanager
def gives_up_on_disks(place: Workdir) -> Iterator[None]:
    """Makes one line of a file that cannot be written, or read, whichever thread it was.

    Raises TrainingGaveUp, which launchers do not start again: it names the disk, and the last checkpoint that is whole.
    """
    try:
        with _without_echoes():
            yield
    except (UserError, TrainingGaveUp):
        raise
    except Exception as error:
        failed = disks.find(error)
        if failed is None:
            raise
        told = f"{disks.explain(failed, place.path)}; {_last(place)}"
        raise TrainingGaveUp(f"training cannot go on: {told}; the same command goes on when that is mended") from error


@contextlib.contextmanager
def gives_up_on_memory(place: Workdir) -> Iterator[None]:
    """Makes TrainingGaveUp, in one line, of a program that has not enough memory: a new start would not have more."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if FULL not in str(error):
            raise
        told = " ".join(str(error).split())[:TOLD]
        raise TrainingGaveUp(
            f"training gave up, as a device has too little memory: {told}; give a smaller --config.batch_size, more "
            f"--config.microbatches, or --config.remat=full; {_last(place)}"
        ) from error


@contextlib.contextmanager
def gives_up_on_images(place: Workdir) -> Iterator[None]:
    """Makes TrainingGaveUp, in one line, of images that cannot be scored: a new start would make them again."""
    try:
        yield
    except NotFiniteError as error:
        raise TrainingGaveUp(
            f"training gave up: {error} and cannot be scored; try a lower learning rate; {_last(place)}"
        ) from error


@contextlib.contextmanager
def _without_echoes() -> Iterator[None]:
    """Inside, what TensorStore's threads still report to an event loop that a failed save has closed is not printed."""
    before = sys.unraisablehook

    def hook(raised: Any) -> None:
        if str(raised.exc_value) != "Event loop is closed":
            before(raised)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


def _last(place: Workdir) -> str:
    """The last checkpoint that is whole."""
    try:
        records = read_records(place.checkpoints)
    except OSError:
        return f"the last whole checkpoint is in {place.checkpoints}"
    if not records:
        return "there is no whole checkpoint yet"
    return f"the last whole checkpoint is step {max(records)}: {place.checkpoints / str(max(records))}"
