"""What to say about a name that is not known."""

import difflib
from collections.abc import Iterable
from typing import Any

__all__ = ["instead", "listed"]


def listed(names: Iterable[Any]) -> str:
    """Names for a sentence: the first eight, and how many more there are.

    >>> from odkit.names import listed
    >>> listed(["volt", "ampere"])
    "'volt', 'ampere'"
    """
    names = list(names)
    return ", ".join(map(repr, names[:8])) + f" and {len(names) - 8} more" * (len(names) > 8)


def instead(name: Any, known: Iterable[Any]) -> str:
    """The nearest known names, or all of them where none is near.

    >>> from odkit.names import instead
    >>> instead("volts", ["volt", "ampere"]), instead("hour", ["volt", "ampere"])
    ("did you mean 'volt'?", "there are 'volt', 'ampere'")
    """
    known = [str(each) for each in known]
    near = difflib.get_close_matches(str(name), known, n=2)
    lower = {each.lower(): each for each in known}
    if not near and str(name).lower() in lower:
        near = [lower[str(name).lower()]]
    return f"did you mean {' or '.join(map(repr, near))}?" if near else f"there are {listed(known)}"
