"""Data made to be understood: tables, a machine's telemetry and small images with planted, explained anomalies.

Every generator draws from one `numpy.random.Generator` made from `random_state`: the same seed gives the same data.
What was planted comes back apart from the data, so that it cannot leak into a fit.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "GradedRows",
    "Payments",
    "PlantedRows",
    "Telemetry",
    "ToyImages",
    "make_graded_rows",
    "make_payments",
    "make_planted_rows",
    "make_telemetry",
    "make_toy_images",
]

Seed = int | np.random.Generator

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


class Payments(NamedTuple):
    """`payments`: one row each; `truth`: a row per planted one with `payment_id`, `kind`, `columns`, `reason`."""

    payments: "pd.DataFrame"
    truth: "pd.DataFrame"


class Telemetry(NamedTuple):
    """`telemetry`: one row per time step; `events`: `start`, `stop` (inclusive), `kind`, `channels`, `reason`."""

    telemetry: "pd.DataFrame"
    events: "pd.DataFrame"


class ToyImages(NamedTuple):
    """`images` (n, size, size) uint8, `masks` of the same shape, `kinds` (n,): "free" or the kind of defect."""

    images: NDArray[np.uint8]
    masks: NDArray[np.bool_]
    kinds: NDArray[np.str_]


class PlantedRows(NamedTuple):
    """`X` (n, d), `is_outlier` (n,), `kinds` (n,): "inlier", "marginal" or "broken"; `planted` (n, d): which values."""

    X: NDArray[np.float64]
    is_outlier: NDArray[np.bool_]
    kinds: NDArray[np.str_]
    planted: NDArray[np.bool_]


class GradedRows(NamedTuple):
    """`X` (n, d) and `severity` (n,): 0 = normal, then 1, 2, ..."""

    X: NDArray[np.float64]
    severity: NDArray[np.int64]


def make_payments(n_rows: int = 3000, *, n_outliers: int = 30, random_state: Seed = 0) -> Payments:
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

    _check("make_payments", n_rows=(n_rows, 10 * max(n_outliers, 1)), n_outliers=(n_outliers, 0))
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
        kind, plant = list(_PAYMENT_KINDS.items())[turn % len(_PAYMENT_KINDS)]
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


Planted = tuple[dict[str, Any], str]  # the new values by column, and the reason in words


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


_PAYMENT_KINDS = {
    "spree": _spree,
    "far away": _far_away,
    "huge amount": _huge_amount,
    "new account": _new_account,
    "refund": _refund,
    "out of habit": _out_of_habit,
}


def make_telemetry(n_steps: int = 2016, *, step_minutes: int = 5, random_state: Seed = 0) -> Telemetry:
    """Six channels of a pump that runs fast by day and slowly by night, with seven planted events.

    Load, pressure and flow follow the speed, the temperature follows the load with a lag of about an hour, vibration
    rises with speed. The first half holds no event, so it can train a detector. Each event is one of

    ============  ============================================================================
    kind          what happens
    ============  ============================================================================
    spike         the pressure jumps for two steps
    stuck         the temperature sensor repeats one value
    drift         the vibration creeps upwards
    level shift   the flow drops by a fifth: a leak
    noise         the load jitters
    decoupling    flow and speed part ways; each alone looks ordinary
    missed cycle  the pump keeps its daytime speed through the night
    ============  ============================================================================

    Parameters
    ----------
    n_steps : int, default=2016
        At least a week, so that the events keep apart.
    step_minutes : int, default=5
        Between 1 and 30.
    random_state : int or Generator, default=0

    Examples
    --------
    >>> from odkit.datasets import make_telemetry
    >>> telemetry, events = make_telemetry()
    >>> telemetry.shape, ", ".join(events.kind)
    ((2016, 7), 'spike, stuck, drift, level shift, noise, decoupling, missed cycle')
    """
    import pandas as pd

    _check("make_telemetry", step_minutes=(step_minutes, 1))
    if step_minutes > 30:
        raise ValueError(f"make_telemetry: step_minutes is {step_minutes}; 1 to 30 minutes are allowed")
    day = 24 * 60 // step_minutes
    _check("make_telemetry", n_steps=(n_steps, 7 * day))
    rng = np.random.default_rng(random_state)
    spike, stuck, drift, leak, noise, decoupled, missed = spans = _event_spans(n_steps, day)
    channels = _pump(rng, n_steps, 60 / step_minutes, missed)
    channels["pressure_bar"][spike] += 3.5
    channels["temperature_c"][stuck] = channels["temperature_c"][stuck.start]
    channels["vibration_mm_s"][drift] += np.linspace(0, 2.2, drift.stop - drift.start)
    channels["flow_l_min"][leak] *= 0.8
    channels["load_kw"][noise] += rng.normal(0, 6, noise.stop - noise.start)
    half_a_day_before = slice(decoupled.start - day // 2, decoupled.stop - day // 2)
    channels["flow_l_min"][decoupled] = channels["flow_l_min"][half_a_day_before]
    told = [
        ("spike", "pressure_bar", "pressure 3.5 bar above the level of the speed"),
        ("stuck", "temperature_c", "the temperature sensor repeats one value"),
        ("drift", "vibration_mm_s", "vibration creeps up by 2.2 mm/s"),
        ("level shift", "flow_l_min", "flow a fifth below the level of the speed: a leak"),
        ("noise", "load_kw", "load jitters by 6 kW"),
        ("decoupling", "flow_l_min", "flow as half a day before, whatever the speed"),
        ("missed cycle", "speed_rpm load_kw pressure_bar flow_l_min", "daytime speed at night"),
    ]
    stamps = np.datetime64("2024-03-04T00:00") + np.arange(n_steps) * np.timedelta64(step_minutes, "m")
    text = pd.DatetimeIndex(stamps).strftime("%Y-%m-%d %H:%M:%S").to_numpy()
    events = [(text[span.start], text[span.stop - 1], *words) for span, words in zip(spans, told, strict=True)]
    return Telemetry(
        pd.DataFrame({"timestamp": text} | {name: values.round(2) for name, values in channels.items()}),
        pd.DataFrame(events, columns=["start", "stop", "kind", "channels", "reason"]),
    )


def _event_spans(n_steps: int, day: int) -> list[slice]:
    """Seven stretches spread over the second half; the last waits for nine in the evening."""
    starts = n_steps // 2 + (np.arange(7) * (n_steps // 2 - day // 2)) // 7
    lengths = np.maximum(2, np.array([0, 2, 6, 3, 2, 3, 5]) * day / 24).astype(int)
    evening = (starts[6] // day) * day + int(21 * day / 24)
    starts[6] = evening if evening + lengths[6] < n_steps else evening - day
    return [slice(int(start), int(start + length)) for start, length in zip(starts, lengths, strict=True)]


def _pump(rng: np.random.Generator, n_steps: int, steps_an_hour: float, awake: slice) -> dict[str, NDArray[np.float64]]:
    """The channels of a healthy pump that also runs at full speed during `awake`."""
    hour = np.arange(n_steps) / steps_an_hour
    # logistic ramps up at 6 and down at 22 o'clock
    on = 1 / (1 + np.exp(-4 * (hour % 24 - 6))) - 1 / (1 + np.exp(-4 * (hour % 24 - 22)))
    on[awake] = 1.0
    wander = 6 * np.convolve(rng.normal(size=n_steps + 8), np.full(9, 1 / 3), mode="valid")
    speed = 900 + 580 * on + wander
    pull = speed / 1500
    load = 42 * pull**3 + rng.normal(0, 0.5, n_steps)
    warm = load.copy()  # the load, lagging by an hour
    keep = np.exp(-1 / steps_an_hour)
    for step in range(1, n_steps):
        warm[step] = keep * warm[step - 1] + (1 - keep) * load[step]
    outside = 24 + 3 * np.sin(2 * np.pi * (hour - 9) / 24)
    return {
        "speed_rpm": speed,
        "load_kw": load,
        "temperature_c": outside + 0.9 * warm + rng.normal(0, 0.25, n_steps),
        "vibration_mm_s": 0.8 + 1.4 * pull**2 + rng.gamma(4, 0.04, n_steps),
        "pressure_bar": 6 * pull**2 + rng.normal(0, 0.06, n_steps),
        "flow_l_min": 82 * pull + rng.normal(0, 0.8, n_steps),
    }


def make_toy_images(n_free: int = 36, *, n_per_defect: int = 3, size: int = 48, random_state: Seed = 0) -> ToyImages:
    """Grey images of a woven texture, some with a scratch, a spot, a hole in the weave or a stain.

    Parameters
    ----------
    n_free : int, default=36
        Images without a defect; they come first.
    n_per_defect : int, default=3
        Images of each of the four kinds of defect.
    size : int, default=48
        Height and width in pixels, at least 24.
    random_state : int or Generator, default=0

    Examples
    --------
    >>> from odkit.datasets import make_toy_images
    >>> images, masks, kinds = make_toy_images()
    >>> images.shape, str(images.dtype), str(kinds[-1]), bool(masks[kinds == "free"].any())
    ((48, 48, 48), 'uint8', 'stain', False)
    """
    _check("make_toy_images", n_free=(n_free, 1), n_per_defect=(n_per_defect, 0), size=(size, 24))
    rng = np.random.default_rng(random_state)
    kinds = np.array(["free"] * n_free + [kind for kind in _DEFECTS for _ in range(n_per_defect)])
    images = np.empty((len(kinds), size, size), np.uint8)
    masks = np.zeros((len(kinds), size, size), bool)
    y, x = np.mgrid[:size, :size].astype(float)
    for number, kind in enumerate(kinds):
        shift, turn = rng.uniform(0, 8, 2), rng.normal(0, 0.02)
        weave = np.sin(2 * np.pi * (x + turn * y + shift[0]) / 8) * np.sin(2 * np.pi * (y - turn * x + shift[1]) / 6)
        image = 128 + 34 * weave + rng.normal(0, 5) + rng.normal(0, 5, (size, size))
        if kind != "free":
            masks[number] = _DEFECTS[str(kind)](rng, image, y, x)
        images[number] = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    return ToyImages(images, masks, kinds)


def _scratch(rng: np.random.Generator, image: NDArray, y: NDArray, x: NDArray) -> NDArray[np.bool_]:
    """A bright line across a third to a half of the image."""
    size = len(image)
    angle, length = rng.uniform(0, np.pi), rng.uniform(0.33, 0.5) * size
    along = (x - size / 2) * np.cos(angle) + (y - size / 2) * np.sin(angle)
    across = (y - size / 2) * np.cos(angle) - (x - size / 2) * np.sin(angle) - rng.uniform(-0.2, 0.2) * size
    mask = (np.abs(along) <= length / 2) & (np.abs(across) <= 0.8)
    image[mask] += 90
    return mask


def _disc(rng: np.random.Generator, y: NDArray, x: NDArray, radius: float) -> NDArray[np.bool_]:
    centre = rng.uniform(radius, len(y) - radius, 2)
    return (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2


def _spot(rng: np.random.Generator, image: NDArray, y: NDArray, x: NDArray) -> NDArray[np.bool_]:
    """A small dark disc."""
    mask = _disc(rng, y, x, rng.uniform(1.5, 3))
    image[mask] -= 80
    return mask


def _hole(rng: np.random.Generator, image: NDArray, y: NDArray, x: NDArray) -> NDArray[np.bool_]:
    """A disc where the weave is missing; its mean brightness is ordinary."""
    mask = _disc(rng, y, x, rng.uniform(4, 7))
    image[mask] = 128 + rng.normal(0, 5, int(mask.sum()))
    return mask


def _stain(rng: np.random.Generator, image: NDArray, y: NDArray, x: NDArray) -> NDArray[np.bool_]:
    """A wide, slightly darker disc; the weave goes on."""
    mask = _disc(rng, y, x, rng.uniform(7, 11))
    image[mask] -= 35
    return mask


_DEFECTS = {"scratch": _scratch, "spot": _spot, "hole": _hole, "stain": _stain}


def make_planted_rows(
    n_rows: int = 500,
    n_features: int = 6,
    *,
    n_marginal: int = 10,
    n_broken: int = 10,
    magnitude: float = 6.0,
    correlation: float = 0.95,
    random_state: Seed = 0,
) -> PlantedRows:
    """Standard normal rows whose columns are correlated in pairs (0 with 1, 2 with 3, ...), with two kinds of outliers.

    A marginal outlier has one or two values at `magnitude` or `-magnitude`: any detector should find it. A broken one
    has a pair of opposite values of 1.5 to 2 standard deviations where the pair should agree: each value is ordinary,
    only a detector that knows the correlation can find it.

    Parameters
    ----------
    n_rows : int, default=500
    n_features : int, default=6
        At least 2; with an odd number the last column stands alone.
    n_marginal, n_broken : int, default=10
        Together at most `n_rows`; they are the last rows, marginal ones first.
    magnitude : float, default=6.0
        In standard deviations.
    correlation : float, default=0.95
        Within a pair, between 0 and 1.
    random_state : int or Generator, default=0

    Examples
    --------
    >>> from odkit.datasets import make_planted_rows
    >>> rows = make_planted_rows(random_state=3)
    >>> rows.X.shape, int(rows.is_outlier.sum()), rows.planted[-1].nonzero()[0].tolist()
    ((500, 6), 20, [0, 1])
    """
    _check(
        "make_planted_rows",
        n_marginal=(n_marginal, 0),
        n_broken=(n_broken, 0),
        n_rows=(n_rows, max(1, n_marginal + n_broken)),
        n_features=(n_features, 2),
    )
    if not 0 <= correlation < 1:
        raise ValueError(f"make_planted_rows: correlation is {correlation}; 0 <= correlation < 1 is allowed")
    rng = np.random.default_rng(random_state)
    X = _in_pairs(rng.normal(size=(n_rows, n_features)), correlation)
    planted = np.zeros(X.shape, bool)
    first, second = n_rows - n_marginal - n_broken, n_rows - n_broken
    for row in range(first, second):
        columns = rng.choice(n_features, size=rng.integers(1, 3), replace=False)
        X[row, columns] = magnitude * rng.choice([-1.0, 1.0], size=len(columns))
        planted[row, columns] = True
    for row in range(second, n_rows):
        left = 2 * rng.integers(n_features // 2)
        value = rng.uniform(1.5, 2) * rng.choice([-1.0, 1.0])
        X[row, left], X[row, left + 1] = value, -value
        planted[row, left : left + 2] = True
    kinds = np.array(["inlier"] * first + ["marginal"] * n_marginal + ["broken"] * n_broken)
    return PlantedRows(X, kinds != "inlier", kinds, planted)


def make_graded_rows(
    n_rows: int = 600,
    n_features: int = 6,
    *,
    n_levels: int = 3,
    n_per_level: int = 40,
    step: float = 1.5,
    random_state: Seed = 0,
) -> GradedRows:
    """Normal rows and outliers of growing severity: level k is moved by `k * step + 1` in a direction of its own.

    The directions are uniform over the sphere after the columns' correlation is taken out, so the expected squared
    Mahalanobis distance of level k is `n_features + (k * step + 1)**2`.

    Parameters
    ----------
    n_rows : int, default=600
        In all; the graded rows are the last, in order of their level.
    n_features : int, default=6
        At least 2.
    n_levels : int, default=3
        Levels above 0.
    n_per_level : int, default=40
    step : float, default=1.5
        In standard deviations.
    random_state : int or Generator, default=0

    Examples
    --------
    >>> from odkit.datasets import make_graded_rows
    >>> X, severity = make_graded_rows()
    >>> X.shape, np.bincount(severity).tolist()
    ((600, 6), [480, 40, 40, 40])
    """
    _check(
        "make_graded_rows",
        n_levels=(n_levels, 1),
        n_per_level=(n_per_level, 1),
        n_rows=(n_rows, 1 + n_levels * n_per_level),
        n_features=(n_features, 2),
    )
    rng = np.random.default_rng(random_state)
    severity = np.zeros(n_rows, np.int64)
    severity[n_rows - n_levels * n_per_level :] = np.repeat(np.arange(1, n_levels + 1), n_per_level)
    direction = rng.normal(size=(n_rows, n_features))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    distance = np.where(severity > 0, severity * step + 1, 0.0)
    white = rng.normal(size=(n_rows, n_features)) + distance[:, None] * direction
    return GradedRows(_in_pairs(white, 0.7), severity)


def _in_pairs(white: NDArray[np.float64], correlation: float) -> NDArray[np.float64]:
    """Uncorrelated unit-variance columns made to correlate in pairs."""
    X = white.copy()
    right = X[:, 1::2]
    right *= np.sqrt(1 - correlation**2)
    right += correlation * X[:, 0 : 2 * right.shape[1] : 2]
    return X


def _check(who: str, **counts: tuple[int, int]) -> None:
    for name, (value, least) in counts.items():
        if value < least:
            raise ValueError(f"{who}: {name} is {value}; {least} or more is allowed")
