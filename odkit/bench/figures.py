"""The three figures of a report, drawn as SVG text."""

import numpy as np
import pandas as pd

from odkit.pages import INK, line, svg, text

__all__ = ["critical_difference", "heat", "speed_accuracy"]

SOFT = "#8c959f"
OURS, THEIRS, BASE = "#0b6bcb", "#c2410c", "#6e7781"


def colour(detector: str) -> str:
    """odkit blue, other libraries orange, baselines grey."""
    if detector.startswith("odkit."):
        return OURS
    return THEIRS if "." in detector else BASE


def critical_difference(ranks: pd.Series, bars: list[tuple[str, ...]]) -> str:
    """Average ranks on a line, best at the left; a bar joins methods that Holm does not separate."""
    order = ranks.sort_values(kind="stable")
    low, high = np.floor(order.iloc[0]), np.ceil(order.iloc[-1])
    margin = max(210.0, 24.0 + 7.0 * max(len(f"{name} {rank:.2f}") for name, rank in order.items()))
    left, right, axis = margin, 1000.0 - margin, 34.0
    half = (len(order) + 1) // 2
    first_row = axis + 26 + 9 * len(bars)
    height = first_row + 17 * half + 8

    def x(rank: float) -> float:
        return left + (right - left) * (rank - low) / max(1.0, high - low)

    parts = [line(left, axis, right, axis)]
    for tick in range(int(low), int(high) + 1):
        parts += [line(x(tick), axis - 5, x(tick), axis), text(x(tick), axis - 10, str(tick), "middle")]
    for i, (name, rank) in enumerate(order.items()):
        on_left = i < half
        row = first_row + 17 * (i if on_left else len(order) - 1 - i)
        end = left - 10 if on_left else right + 10
        parts.append(f'<path d="M{x(rank):.1f} {axis} V{row:.1f} H{end:.1f}" fill="none" stroke="{SOFT}"/>')
        words = f"{name} {rank:.2f}"
        parts.append(
            text(end + (-5 if on_left else 5), row + 4, words, "end" if on_left else "start", colour(str(name)))
        )
    for i, bar in enumerate(bars):
        y = axis + 12 + 9 * i
        parts.append(line(x(order[bar[0]]) - 4, y, x(order[bar[-1]]) + 4, y, INK, 4))
    return svg(1000, height, parts, "Average ranks; bars join methods that are not separated")


def speed_accuracy(table: pd.DataFrame, metric: str) -> str:
    """Mean of the metric against the median seconds of fit and score, logarithmic."""
    points = table[["seconds", metric]].dropna()
    points = points[points["seconds"] > 0]
    if points.empty:
        return ""
    logs, values = np.log10(points["seconds"]), points[metric]
    low, high = np.floor(logs.min()), np.ceil(logs.max() + 1e-9)
    bottom, top = values.min() - 0.02, values.max() + 0.02

    def x(log: float) -> float:
        return 60 + 880 * (log - low) / max(1.0, high - low)

    def y(value: float) -> float:
        return 380 - 350 * (value - bottom) / (top - bottom)

    parts = [line(60, 380, 980, 380), line(60, 30, 60, 380)]
    for tick in range(int(low), int(high) + 1):
        parts += [line(x(tick), 380, x(tick), 385), text(x(tick), 400, f"{10.0**tick:g} s", "middle")]
    for value in np.linspace(bottom, top, 6):
        parts += [line(56, y(value), 60, y(value)), text(52, y(value) + 4, f"{value:.2f}", "end")]
    taken: list[tuple[float, float]] = []
    for name, log, value in zip(points.index, logs, values, strict=True):
        at_x, at_y = x(log), y(value)
        parts.append(f'<circle cx="{at_x:.1f}" cy="{at_y:.1f}" r="4" fill="{colour(name)}"/>')
        while any(abs(at_x - ox) < 150 and abs(at_y - oy) < 12 for ox, oy in taken):
            at_y += 12
        taken.append((at_x, at_y))
        right = at_x < 830
        parts.append(text(at_x + (8 if right else -8), at_y + 4, name, "start" if right else "end", colour(name)))
    lowest = max(oy for _, oy in taken)
    parts.append(text(60, 18, f"mean {metric} (families) against median fit + score time"))
    return svg(1000, max(410, lowest + 10), parts, f"{metric} against time")


def heat(value: float, low: float, high: float) -> str:
    """Background of a table cell, from pale to blue; nothing for a missing value."""
    if not np.isfinite(value):
        return "#f6d5d5"
    share = float(np.clip((value - low) / (high - low if high > low else 1.0), 0, 1))
    tone = [round(255 + share * (target - 255)) for target in (116, 169, 207)]
    return "#{:02x}{:02x}{:02x}".format(*tone)
