"""Card payments with planted fraud: a table in which every outlier has a stated reason."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from odkit.datasets.counts import check_counts

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Payments", "make_payments"]

# merchant category -> share of payments, typical amount relative to groceries
CATEGORIES = {
    "clothing": (0.14, 1.8),
    "electronics": (0.07, 3.0),
    "fuel": (0.13, 1.6),
    "groceries": (0.30, 1.0),
    "pharmacy": (0.08, 0.7),
    "restaurants": (0.16, 1.1),
    "streaming": (0.06, 0.4),
    "travel": (0.05, 5.0),
    "wire transfer": (0.01, 4.0),
}

Planted = tuple[dict[str, Any], str]  # the new values by column, and the reason in words


class Payments(NamedTuple):
    """`payments`: one row each; `truth`: a row per planted one with `payment_id`, `kind`, `columns`, `reason`."""

    payments: "pd.DataFrame"
    truth: "pd.DataFrame"


def make_payments(n_rows: int = 3000, *, n_outliers: int = 30, random_state: int | np.random.Generator = 0) -> Payments:
    """A table of card payments with planted fraud of six kinds.

    Ordinary payments: categories with fixed shares; log-normal amounts around what the customer usually spends in the
    category; daytime hours, with one payment in a hundred at night; a few kilometres from home; a few payments a day;
    accounts of 3 to 120 months.

    ==============  ================================================================================
    kind            what is unusual
    ==============  ================================================================================
    spree           25 to 45 payments within 24 hours, several declined, at night
    far away        thousands of kilometres from home, at night, several times the usual amount
    huge amount     60 to 150 times what the customer usually spends
    new account     a large wire transfer in the month the account was opened
    refund          a negative amount that no purchase explains
    out of habit    12 to 20 times the customer's usual amount, though the amount is ordinary for others
    ==============  ================================================================================

    The last kind is unusual in one column alone, `times_usual`, and the hardest for a detector that adds up columns.

    Parameters
    ----------
    n_rows : int, default=3000
        At least 10 times `n_outliers`.
    n_outliers : int, default=30
        The kinds take turns.
    random_state : int or Generator, default=0

    Returns
    -------
    Payments
        `amount` in euro, `times_usual` = amount divided by what the customer usually spends in the category, `hour` 0
        to 23.

    Examples
    --------
    >>> from odkit.datasets import make_payments
    >>> payments, truth = make_payments(1000, n_outliers=6, random_state=1)
    >>> payments.shape, list(truth.kind)
    ((1000, 9), ['spree', 'far away', 'huge amount', 'new account', 'refund', 'out of habit'])
    """
    import pandas as pd

    check_counts("make_payments", n_rows=(n_rows, 10 * max(n_outliers, 1)), n_outliers=(n_outliers, 0))
    rng = np.random.default_rng(random_state)
    names = np.array(list(CATEGORIES))
    shares, factors = np.array(list(CATEGORIES.values())).T
    category = rng.choice(len(names), size=n_rows, p=shares)
    usual = rng.lognormal(np.log(24), 0.4, n_rows) * factors[category]
    times = rng.lognormal(0, 0.35, n_rows)
    evening = rng.random(n_rows) < 0.4
    hour = np.where(evening, rng.normal(18.5, 1.6, n_rows), rng.normal(12.5, 2.4, n_rows))
    hour = np.where(rng.random(n_rows) < 0.01, rng.uniform(0, 6, n_rows), hour) % 24
    table = {
        "amount": usual * times,
        "times_usual": times,
        "hour": np.floor(hour),
        "distance_km": np.rint(rng.lognormal(np.log(5), 0.8, n_rows)),
        "payments_last_24h": 1.0 + rng.poisson(1.8, n_rows),
        "declined_last_week": 1.0 * rng.poisson(0.1, n_rows),
        "account_months": 1.0 * rng.integers(3, 121, n_rows),
    }
    planted = np.sort(rng.choice(n_rows, size=n_outliers, replace=False))
    ids = np.array([f"P{number:05d}" for number in range(1, n_rows + 1)])
    truth = []
    for turn, row in enumerate(planted):
        kind, plant = list(KINDS.items())[turn % len(KINDS)]
        changes, reason = plant(rng, usual[row])
        if "merchant_category" in changes:
            category[row] = np.flatnonzero(names == changes["merchant_category"])[0]
        for name in changes.keys() & table.keys():
            table[name][row] = changes[name]
        truth.append((ids[row], kind, " ".join(changes), reason))
    fine = {"amount", "times_usual"}
    columns = {name: value.round(2) if name in fine else value.astype(int) for name, value in table.items()}
    return Payments(
        pd.DataFrame({"payment_id": ids, "merchant_category": names[category]} | columns),
        pd.DataFrame(truth, columns=["payment_id", "kind", "columns", "reason"]),
    )


def _spent(usual: float, times: float) -> dict[str, Any]:
    return {"amount": usual * times, "times_usual": times}


def _spree(rng: np.random.Generator, usual: float) -> Planted:
    count, declined, hour = int(rng.integers(25, 46)), int(rng.integers(4, 10)), int(rng.integers(1, 5))
    changes = {"payments_last_24h": count, "declined_last_week": declined, "hour": hour}
    reason = f"{count} payments within 24 hours, {declined} declined this week, this one at {hour} in the morning"
    return changes, reason


def _far_away(rng: np.random.Generator, usual: float) -> Planted:
    distance, hour, times = int(rng.integers(4000, 11000)), int(rng.integers(1, 5)), rng.uniform(4, 8)
    reason = f"{distance} km from home at {hour} in the morning, {times:.0f} times the usual amount"
    return {"distance_km": distance, "hour": hour} | _spent(usual, times), reason


def _huge_amount(rng: np.random.Generator, usual: float) -> Planted:
    times = rng.uniform(60, 150)
    return _spent(usual, times), f"{usual * times:.2f} euro where the customer usually spends {usual:.2f}"


def _new_account(rng: np.random.Generator, usual: float) -> Planted:
    times = rng.uniform(2500, 6000) / usual
    changes = {"account_months": 0, "merchant_category": "wire transfer"} | _spent(usual, times)
    return changes, f"wire transfer of {usual * times:.2f} euro in the month the account was opened"


def _refund(rng: np.random.Generator, usual: float) -> Planted:
    times = -rng.uniform(300, 2000) / usual
    return _spent(usual, times), f"refund of {-usual * times:.2f} euro, more than any purchase it could answer"


def _out_of_habit(rng: np.random.Generator, usual: float) -> Planted:
    usual, times = rng.uniform(5, 8), rng.uniform(12, 20)
    return _spent(usual, times), f"{usual * times:.2f} euro where this customer usually spends {usual:.2f}"


KINDS = {
    "spree": _spree,
    "far away": _far_away,
    "huge amount": _huge_amount,
    "new account": _new_account,
    "refund": _refund,
    "out of habit": _out_of_habit,
}
