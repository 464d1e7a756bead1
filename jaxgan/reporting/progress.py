"""Progress of a run: a bar on a terminal, otherwise a line at intervals; and the log file."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from types import TracebackType

from etils import epath
from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bar

from jaxgan.reporting.mirror import Mirror
from jaxgan.system import disks
from jaxgan.system.plain import PlainFormatter, printable

LINE_SECONDS = 10.0  # between two lines without a terminal
RATE_UPDATES = 20  # number of reports over which images/s is measured
SHORT = {"discriminator": "d", "generator": "g"}

console = Console(stderr=True)  # shared by the bar and the warnings, so that they do not overwrite each other


class Progress:
    """The progress of training: images, images/s, losses, and the time left.

    A bar if stderr is a terminal; else plain lines, one about every ten seconds and one at the end.
    """

    def __init__(
        self,
        total: int,
        *,
        enabled: bool = True,
        to: Console | None = None,
        line_seconds: float = LINE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ):
        """`total`: number of images of the whole run. With `enabled=False` nothing is printed."""
        self.total, self.enabled, self.line_seconds, self.clock = total, enabled, line_seconds, clock
        self.console = console if to is None else to
        self._bar: Bar | None = None
        self._task = TaskID(0)
        self._start = (0.0, 0)
        self._reports: deque[tuple[float, int]] = deque(maxlen=RATE_UPDATES)  # (time, images)
        self._printed_at, self._pending = 0.0, ""

    def start(self, images: int) -> None:
        """Starts at `images`: 0, or the clock of a resumed run."""
        self._start = (self.clock(), images)
        self._printed_at = self._start[0]
        self._reports.append(self._start)
        if self.enabled and self.console.is_terminal:
            columns = (BarColumn(bar_width=24), TextColumn("{task.fields[report]}"))
            self._bar = Bar(*columns, console=self.console)
            self._task = self._bar.add_task("", total=self.total, completed=images, report=self._line(images, {}))
            self._bar.start()

    def update(self, images: int, metrics: Mapping[str, float]) -> None:
        """Reports that `images` are done; of the metrics, every `<phase>/loss` is printed."""
        if not self.enabled:
            return
        if len(self._reports) == 2 and self._reports[0] is self._start:
            self._reports.popleft()  # the time before the first report includes compilation
        if images < self._reports[-1][1]:
            self._reports.clear()  # the run went back to an older checkpoint
        now = self.clock()
        self._reports.append((now, images))
        line = self._line(images, metrics)
        if self._bar is not None:
            self._bar.update(self._task, completed=images, report=line)
        elif now - self._printed_at >= self.line_seconds:
            self._printed_at, self._pending = now, ""
            _print(self.console, line)
        else:
            self._pending = line

    def say(self, line: str) -> None:
        """Prints a line, above the bar if there is one."""
        if not self.enabled:
            return
        _print(self.console if self._bar is None else self._bar.console, line)

    def close(self) -> None:
        """Stops the bar, or prints the last line."""
        if self._bar is not None:
            with contextlib.suppress(OSError):  # the terminal may be gone
                self._bar.stop()
            self._bar = None
        elif self._pending:
            _print(self.console, self._pending)
            self._pending = ""

    def __enter__(self) -> Progress:
        """Itself; the bar appears with `start`."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes it."""
        self.close()

    def _line(self, images: int, metrics: Mapping[str, float]) -> str:
        parts = [f"images {images}/{self.total}  {images / max(1, self.total):4.0%}"]
        (before, images_before), (now, _) = self._reports[0], self._reports[-1]
        rate = (images - images_before) / (now - before) if now > before else 0.0
        if rate > 0:
            parts.append(f"{rate:.0f} images/s")
        losses = [f"{_short(name)} {value:.3g}" for name, value in metrics.items() if name.endswith("/loss")]
        if losses:
            parts.append("loss " + " ".join(losses))
        if rate > 0 and images < self.total:
            parts.append(f"ETA {_duration((self.total - images) / rate)}")
        return "  ".join(parts)


def setup_logging(path: str | os.PathLike[str], *, enabled: bool = True) -> Callable[[], None]:
    """Sends jaxgan's log records to a text file (INFO and above) and to stderr (WARNING and above).

    Returns a function that undoes this. The file is appended to; its lines begin with the time. With `enabled=False`
    (all processes but the first) there is no file. A file that cannot be written causes a warning, not an error.
    """
    logger = logging.getLogger("jaxgan")
    level, propagate = logger.level, logger.propagate
    handlers: list[logging.Handler] = [_ConsoleHandler(logging.WARNING)]
    if enabled:
        remote = epath.Path(path)
        try:
            file = _MirroredFile(remote) if "://" in str(remote) else _File(os.fspath(remote))
        except OSError as error:
            say(f"warning: the log cannot be written: {disks.explain(error, path)}", "yellow")
        else:
            file.setFormatter(PlainFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
            handlers.append(file)
    for handler in handlers:
        logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False  # other packages set up the root logger, which would print everything twice

    def undo() -> None:
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close()
        logger.setLevel(level)
        logger.propagate = propagate

    return undo


class _File(logging.FileHandler):
    """A log file. If it cannot be written, one warning is printed, instead of a traceback for every line."""

    def __init__(self, path: str):
        super().__init__(path, encoding="utf-8")
        self._complained = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._complained:
            self._complained = True
            say(f"warning: the log is incomplete: {disks.explain(error, self.baseFilename)}", "yellow")

    def close(self) -> None:
        with contextlib.suppress(OSError):  # reported already
            super().close()


class _MirroredFile(_File):
    """A log file in a bucket: appended to locally, copied at intervals."""

    def __init__(self, path: epath.Path):
        self._mirror = Mirror(path.parent)
        self._mirror.fetch(path.name)
        super().__init__(str(self._mirror.folder / path.name))

    def emit(self, record: logging.LogRecord) -> None:
        super().emit(record)
        self._mirror.copy()

    def close(self) -> None:
        super().close()
        self._mirror.close()


class _ConsoleHandler(logging.Handler):
    """Prints above the bar, if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        text, style = printable(self.format(record)), "red" if record.levelno >= logging.ERROR else "yellow"
        say(f"{record.levelname.lower()}: {text}", style)


def say(line: str, style: str | None = None) -> None:
    """Prints a line to stderr, above the bar if there is one."""
    _print(console, line, style)


def _print(to: Console, line: str, style: str | None = None) -> None:
    with contextlib.suppress(OSError):  # the terminal may be gone
        to.print(line, style=style, markup=False, highlight=False, soft_wrap=True)


def _short(name: str) -> str:
    """`discriminator/loss` as `d`, `discriminator_r1/loss` as `d_r1`."""
    player, *rest = name.removesuffix("/loss").split("_", 1)
    return "_".join([SHORT.get(player, player), *rest])


def _duration(seconds: float) -> str:
    """`1:05` or `2:01:05`."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
