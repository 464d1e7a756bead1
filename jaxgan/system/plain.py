"""Text of unknown origin, such as a file's name, its title or a library's error, as it can be printed."""

from __future__ import annotations

import logging


def plain(text: object, longest: int | None = None) -> str:
    """One line that can be printed, of at most `longest` characters: files say what they like.

    Line ends and runs of spaces become one space; escape sequences lose what makes them some, and what cannot be
    encoded, such as a byte of a name that is not UTF-8, is left out. None is the empty text.
    """
    words = " ".join(str("" if text is None else text).split())
    words = "".join(each for each in words if each.isprintable())
    return words if longest is None or len(words) <= longest else words[: longest - 1] + "…"


def printable(text: str) -> str:
    """A text of several lines as it can be printed: its spaces and its line ends stay, see `plain`."""
    return "".join(each for each in text.expandtabs(4) if each.isprintable() or each == "\n")


class PlainFormatter(logging.Formatter):
    """Lines for a log, with what they tell of files made plain: a name ends no line, and changes no terminal."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (its name in logging)
        """The line itself; of an exception, its traceback follows as it is."""
        record.message = " ".join(record.message.splitlines())
        return printable(super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        """All of it."""
        return printable(super().format(record))
