"""What a warm start must find as the last fit left it: the columns, in their order, and the network (no torch)."""

from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np

__all__ = ["check_columns", "check_network"]


def check_columns(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse other columns, by number and, where both fits know names, by name; attributes of the last fit and this."""
    n_before, n_now = before["n_features_in_"], now["n_features_in_"]
    if n_before != n_now:
        _refuse(f"there were {n_before} columns then and there are {n_now} now")
    known, given = before.get("feature_names_in_"), now.get("feature_names_in_")
    if known is None or given is None:
        return
    moved = [f"{new!r} stands where {old!r} was" for old, new in zip(known, given, strict=True) if old != new]
    if moved:
        _refuse(f"columns differ: {'; '.join(moved[:3])}{'; ...' * (len(moved) > 3)}")


def check_network(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse parameters and columns that ask for other layers; attributes of the last fit, and this one's as it begins.

    Widths are compared where the weights are taken over.
    """
    n_members = len(before["weights_"][0])
    if n_members != now["n_members"]:
        _refuse(f"n_members was {n_members} then and is {now['n_members']} now")
    if (before["error_"] == "mse") != (now["error"] == "mse"):  # the others have the same two heads
        _refuse(f"error was {before['error_']!r} then and is {now['error']!r} now, with another number of heads")
    constant, are = (np.flatnonzero(each["constant_features_"]).tolist() for each in (before, now))
    if constant != are:
        _refuse(f"constant columns were {constant} then and are {are} now, and the weights belong to those that vary")


def _refuse(what: str) -> NoReturn:
    raise ValueError(
        f"AutoEncoder: warm_start goes on with the weights of the last fit, but {what}. Give what was given then, or "
        "set warm_start=False."
    )
