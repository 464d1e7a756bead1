"""What can end a run, by exit status. The one place that knows the numbers."""

from __future__ import annotations

FINISHED = 0
SOME_FAILED = 1  # some of many inputs failed, the rest is done
MISTAKE = 2  # a mistake in the call
GAVE_UP = 3  # training gave up, or its files fail; the message names the last good checkpoint
MARK_MISSING = 4  # --mode=verify found files without the marks that --require asks for
LOST = 74  # another process of the run is gone (EX_IOERR): a crash to launchers
INTERRUPTED = 75  # saved and interrupted by SIGTERM or SIGHUP (EX_TEMPFAIL): a launcher restarts it
CTRL_C = 130


class UserError(Exception):
    """A mistake in the call: told in one line, exit status 2, nothing half-written.

    The message says what was wrong, what was got and what is accepted.
    """


class ArgumentError(UserError):
    """A mistake in an argument of the Python interface, by name; the command line names its flag instead."""

    def __init__(self, argument: str, told: str):
        super().__init__(f"{argument}: {told}")
        self.argument, self.told = argument, told


class NotFiniteError(ValueError):
    """Images with values that are no finite numbers, where scores are made of them."""


class TrainingGaveUp(Exception):
    """Training cannot go on, or its files cannot be written: exit status 3. The message names the last checkpoint."""
