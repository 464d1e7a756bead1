"""Where a run keeps what: the paths of a work directory, and the lock that gives it to one process."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import logging
import os
import socket
from collections.abc import Iterator
from typing import IO

from etils import epath

from jaxgan.errors import UserError
from jaxgan.system.paths import expanded, is_remote, open_regular
from jaxgan.system.plain import plain

log = logging.getLogger(__name__)

LONGEST = 500  # bytes of a holder's name


@dataclasses.dataclass(frozen=True)
class Workdir:
    """The paths of one run. `path` may be remote (`gs://...`)."""

    path: str

    @property
    def root(self) -> epath.Path:
        """The work directory itself."""
        return epath.Path(expanded(self.path, "--workdir"))

    @property
    def config(self) -> epath.Path:
        """The resolved config, JSON."""
        return self.root / "config.json"

    @property
    def log(self) -> epath.Path:
        """What the run said, as text."""
        return self.root / "log.txt"

    @property
    def scalars(self) -> epath.Path:
        """Metrics and scores, a JSON object a line."""
        return self.root / "scalars.jsonl"

    @property
    def scores(self) -> epath.Path:
        """The scores of the last evaluation, JSON."""
        return self.root / "scores.json"

    @property
    def checkpoints(self) -> epath.Path:
        """Checkpoints, one folder a step."""
        return self.root / "checkpoints"

    @property
    def samples(self) -> epath.Path:
        """Pictures of samples."""
        return self.root / "samples"

    @property
    def plots(self) -> epath.Path:
        """Plots of losses and metrics."""
        return self.root / "plots"

    @property
    def tensorboard(self) -> epath.Path:
        """TensorBoard events."""
        return self.root / "tensorboard"

    @property
    def remote(self) -> bool:
        """Whether the directory lies in a bucket."""
        return is_remote(self.path)

    def create(self) -> None:
        """Makes the directory where there is none.

        Raises UserError where nothing can be written.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except (OSError, ImportError) as error:  # a remote path may need a package
            reason = getattr(error, "strerror", None) or str(error)
            raise UserError(f"--workdir={self.path} cannot be made: {reason}") from None
        if not self.remote and not os.access(self.root, os.W_OK | os.X_OK):
            raise UserError(f"--workdir={self.path} cannot be written to: give a directory that you may write to")
        for path in () if self.remote else (self.log, self.scalars):  # which are added to, and never replaced
            if os.path.islink(path) or (os.path.exists(path) and not os.path.isfile(path)):
                raise UserError(f"--workdir={self.path}: {path.name} in it is no file of the run; remove it")

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keeps every other process out while inside; one process of a run takes it.

        The system lets go of it when the process ends, however it ends. A remote directory has no lock.
        Raises UserError, naming the holder, where another process has it.
        """
        if self.remote:
            yield
            return
        try:  # added to: a process that finds the lock taken must not wipe out the holder's name
            opened = open_regular(self.root / "lock")
        except OSError as error:
            raise UserError(f"--workdir={self.path}: its lock cannot be opened: {error.strerror or error}") from None
        with opened as file:
            locked = self._take(file)
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}\n".encode())
            file.flush()
            try:
                yield
            finally:
                file.truncate(0)
                if locked:  # forked children share the lock: closing alone would not let go
                    fcntl.flock(file, fcntl.LOCK_UN)

    def _take(self, file: IO[bytes]) -> bool:
        """Whether the lock is held now: not on a file system that has none."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = plain(file.read(LONGEST).decode(errors="replace")) or "another process"
            raise UserError(f"--workdir={self.path} is in use by {holder}: wait for it or give another") from None
        except OSError as error:
            log.warning("%s has no locks (%s): nothing keeps a second run out", self.path, error.strerror)
            return False
        return True
