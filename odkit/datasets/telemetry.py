"""Telemetry of a pump with planted events: a series in which every event has a stated reason."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from odkit.datasets.counts import check_counts

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Telemetry", "make_telemetry"]


class Telemetry(NamedTuple):
    """`telemetry`: one row per time step; `events`: `start`, `stop` (inclusive), `kind`, `channels`, `reason`."""

    telemetry: "pd.DataFrame"
    events: "pd.DataFrame"


def make_telemetry(
    n_steps: int = 2016, *, step_minutes: int = 5, random_state: int | np.random.Generator = 0
) -> Telemetry:
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

    check_counts("make_telemetry", step_minutes=(step_minutes, 1))
    if step_minutes > 30:
        raise ValueError(f"make_telemetry: step_minutes is {step_minutes}; 1 to 30 minutes are allowed")
    day = 24 * 60 // step_minutes
    check_counts("make_telemetry", n_steps=(n_steps, 7 * day))
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
