"""The check that the generators share.

They draw from one `numpy.random.Generator` made from `random_state`: the same seed gives the same data. What was
planted comes back apart from the data, so that it cannot leak into a fit.
"""

__all__ = ["check_counts"]


def check_counts(who: str, **counts: tuple[int, int]) -> None:
    """ValueError if one of the named counts, given as (value, least), is below what is allowed."""
    for name, (value, least) in counts.items():
        if value < least:
            raise ValueError(f"{who}: {name} is {value}; {least} or more is allowed")
