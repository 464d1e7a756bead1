"""Text of unknown origin, such as a file's name, its title or a library's error, as it can be printed."""

from __future__ import annotations


def plain(text: object, longest: int | None = None) -> str:
    """One line that can be printed, of at most `longest` characters: files say what they like.

    Line ends and runs of spaces become one space; escape sequences lose what makes them some, and what cannot be
    encoded, such as a byte of a name that is not UTF-8, is left out. None is the empty text.
    """
    words = " ".join(str("" if text is None else text).split())
    words = "".join(each for each in words if each.isprintable())
    return words if longest is None or len(words) <= longest else words[: longest - 1] + "…"
