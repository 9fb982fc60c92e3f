"""Did you mean …? The nearest right word for a wrong one."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from polyhouse.errors import BadInputError


def nearest(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """The known word that is most like this one, "" if none is like it."""
    import difflib

    close = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=cutoff)
    return close[0] if close else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`` Did you mean 'x'?``, or nothing."""
    found = nearest(word, known)
    return f" Did you mean {found!r}?" if found else ""


def check_word(what: str, word: str, known: Collection[str]) -> str:
    """``word`` if it is one of the known ones.

    Args:
        what: "category", "window", …: what it is a word for.
        word: as somebody gave it.
        known: all there are.

    Raises:
        BadInputError: it is not; suggests the nearest and lists all.
    """
    if word in known:
        return word
    raise BadInputError(f"unknown {what} {word[:40]!r}.{did_you_mean(word, known)}", hint=f"one of: {' '.join(known)}")
