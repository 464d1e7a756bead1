"""The record of a run: scalars as JSON lines; scalars and images as TensorBoard events.

The JSON lines stay beside the events because they can be read without TensorBoard, are flushed line by line, and can be
cut back when a run resumes from an older checkpoint. No dependency does this: tensorboardX's `export_scalars_to_json`
keeps all values in memory and writes them once.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, TextIO

import numpy as np
from etils import epath

from jaxgan.checkpoints.workdir import Workdir
from jaxgan.config.checking import check_type
from jaxgan.config.domains import Whole
from jaxgan.errors import UserError
from jaxgan.reporting.events import Events
from jaxgan.reporting.mirror import Mirror
from jaxgan.system.json_files import BrokenFileError, parse_json, why
from jaxgan.system.json_files import lines as raw_lines
from jaxgan.system.whole_files import replace_file

log = logging.getLogger(__name__)

LINE: Mapping[str, Any] = {"step": Whole, "images": Whole, "time": float, "scalars": Mapping[str, float | str]}


class Writer:
    """Appends to `scalars.jsonl` and to the events in `tensorboard/` of a work directory.

    Every line is one JSON object `{"step", "images", "time", "scalars": {name: number}}`. It is in the file when
    `write` returns, or within a minute if the directory is remote. NaN and infinities, which JSON does not have, are
    the strings "NaN", "Infinity" and "-Infinity".
    """

    def __init__(
        self,
        workdir: str | os.PathLike[str],
        *,
        tensorboard: bool = True,
        resume_at: int | None = None,
        enabled: bool = True,
    ):
        """`resume_at`: the step from which the run resumes; later lines are dropped. None keeps everything.

        With `enabled=False` (all processes but the first) nothing is written.
        """
        self._file: TextIO | None = None
        self._events: Events | None = None
        self._mirror: Mirror | None = None
        if not enabled:
            return
        paths = Workdir(os.fspath(workdir))
        paths.root.mkdir(parents=True, exist_ok=True)
        drop_after(paths.scalars, resume_at)
        with contextlib.ExitStack() as opened:
            opened.callback(self.close)
            if paths.remote:
                self._mirror = Mirror(paths.root)
                self._mirror.fetch(paths.scalars.name)
                paths = Workdir(str(self._mirror.folder))
            self._file = open(paths.scalars, "a", encoding="utf-8", buffering=1)  # noqa: SIM115
            if tensorboard:
                purge_from = None if resume_at is None else resume_at + 1
                self._events = Events(str(paths.tensorboard), purge_from=purge_from)
            opened.pop_all()

    def write(self, step: int, images: int, scalars: Mapping[str, float]) -> None:
        """Writes scalars by name, as measured after `step` rounds and `images` real images."""
        if self._file is None:
            return
        values = {name: float(value) for name, value in scalars.items()}
        line = {
            "step": int(step),
            "images": int(images),
            "time": round(time.time(), 3),
            "scalars": {name: _to_json(value) for name, value in values.items()},
        }
        self._file.write(json.dumps(line, allow_nan=False) + "\n")
        if self._events is not None:
            for name, value in values.items():
                self._events.add_scalar(name, value, step)
        if self._mirror is not None:
            self._mirror.copy()

    def write_images(self, step: int, name: str, image: np.ndarray) -> None:
        """Writes an image, uint8 `[H, W, 1 or 3]`, or a film `[T, H, W, 1 or 3]`, for TensorBoard."""
        if self._events is not None:
            (self._events.add_film if image.ndim == 4 else self._events.add_image)(name, image, step)

    def close(self) -> None:
        """Flushes and closes the files."""
        with contextlib.ExitStack() as closing:  # each is closed even if another one fails
            for each in (self._mirror, self._file, self._events):
                if each is not None:
                    closing.callback(each.close)
            self._file, self._events, self._mirror = None, None, None

    def __enter__(self) -> Writer:
        """The writer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the files."""
        self.close()


def read_scalars(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The valid lines of a `scalars.jsonl`, in order: `{"step", "images", "time", "scalars"}`.

    If a run went back to an older checkpoint, the lines it had written beyond are left out, and so are truncated lines
    (of a killed run). Empty if there is no file.
    """
    kept: list[dict[str, Any]] = []
    for _, line in _lines(epath.Path(path)):
        if kept and line["step"] < kept[-1]["step"]:
            kept = [older for older in kept if older["step"] < line["step"]]
        kept.append(line)
    return kept


def drop_after(path: epath.PathLike, step: int | None) -> None:
    """Replaces a `scalars.jsonl`, atomically, without lines beyond a step (None: keeps all) and truncated lines."""
    path = epath.Path(path)
    if not path.exists():
        return
    new = b"".join(raw for raw, line in _lines(path) if step is None or line["step"] <= step)
    if new != path.read_bytes():
        replace_file(path, new)


def _lines(path: epath.Path) -> list[tuple[bytes, dict[str, Any]]]:
    """Every complete line, raw and parsed."""
    if not path.exists():
        return []
    lines: list[tuple[bytes, dict[str, Any]]] = []
    try:
        for number, raw in enumerate(raw_lines(path), start=1):
            line = _line(raw)
            if line is not None:
                lines.append((raw, line))
            else:
                log.info("%s: line %s is truncated and was skipped", path, number)
    except (OSError, BrokenFileError) as error:
        raise UserError(f"{os.fspath(path)} cannot be read: {why(error)}") from None
    return lines


def _line(raw: bytes) -> dict[str, Any] | None:
    """A parsed line; None if it is not one that a run writes."""
    try:
        line = parse_json(raw)
        check_type(line, Mapping[str, Any], "line")
        for name, annotation in LINE.items():
            check_type(line.get(name), annotation, name)
        line["scalars"] = {name: float(value) for name, value in line["scalars"].items()}
    except (ValueError, UserError):
        return None
    return line if raw.endswith(b"\n") else None


def _to_json(value: float) -> float | str:
    """The number, or a string that `float` can parse if JSON has no such number."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
