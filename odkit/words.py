"""Names and numbers in sentences: error messages and tables for people."""

import difflib
from collections.abc import Iterable
from typing import Any

__all__ = ["counted", "instead", "listed", "number", "printable"]


def counted(number: int, noun: str) -> str:
    """A number of things.

    >>> from odkit.words import counted
    >>> counted(1, "row"), counted(3000, "row")
    ('1 row', '3,000 rows')
    """
    return f"{number:,} {noun}" + "s" * (number != 1)


def listed(names: Iterable[Any]) -> str:
    """Names for a sentence: the first eight, and how many more there are.

    >>> from odkit.words import listed
    >>> listed(["volt", "ampere"])
    "'volt', 'ampere'"
    """
    names = list(names)
    return ", ".join(map(repr, names[:8])) + f" and {len(names) - 8} more" * (len(names) > 8)


def instead(name: Any, known: Iterable[Any]) -> str:
    """The nearest known names, or all of them where none is near.

    >>> from odkit.words import instead
    >>> instead("volts", ["volt", "ampere"]), instead("hour", ["volt", "ampere"])
    ("did you mean 'volt'?", "there are 'volt', 'ampere'")
    """
    known = [str(each) for each in known]
    near = difflib.get_close_matches(str(name), known, n=2)
    lower = {each.lower(): each for each in known}
    if not near and str(name).lower() in lower:
        near = [lower[str(name).lower()]]
    return f"did you mean {' or '.join(map(repr, near))}?" if near else f"there are {listed(known)}"


def number(value: float, digits: int = 4) -> str:
    """A number for reading: `digits` significant digits, thousands marked.

    >>> from odkit.words import number
    >>> number(0.123456), number(12.5, 3), number(15164.2), number(2e-9), number(float("inf"))
    ('0.1235', '12.5', '15,164', '2e-09', 'inf')
    """
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e12 else f"{value:.{digits}g}"


def printable(text: str) -> str:
    """Text that cannot control the terminal: parts of it came from a file."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)
