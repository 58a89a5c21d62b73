"""The three figures of a report as plain SVG text: no plotting library, no font files, a few kilobytes each."""

from html import escape

import numpy as np
import pandas as pd

__all__ = ["critical_difference", "heat", "speed_accuracy"]

INK, SOFT = "#24292f", "#8c959f"
OURS, THEIRS, BASE = "#0b6bcb", "#c2410c", "#6e7781"


def colour(detector: str) -> str:
    """odkit blue, other libraries orange, baselines grey."""
    if detector.startswith("odkit."):
        return OURS
    return THEIRS if "." in detector else BASE


def _svg(width: float, height: float, parts: list[str], label: str) -> str:
    head = f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(label)}" class="figure">'
    return head + "".join(parts) + "</svg>"


def _text(x: float, y: float, words: str, anchor: str = "start", fill: str = INK) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}">{escape(words)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, stroke: str = INK, width: float = 1) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}" stroke-width="{width:g}"/>'


def critical_difference(ranks: pd.Series, bars: list[tuple[str, ...]]) -> str:
    """Average ranks on a line, best at the left; a bar joins methods that Holm does not separate."""
    order = ranks.sort_values(kind="stable")
    low, high = np.floor(order.iloc[0]), np.ceil(order.iloc[-1])
    left, right, axis = 210.0, 790.0, 34.0
    half = (len(order) + 1) // 2
    first_row = axis + 26 + 9 * len(bars)
    height = first_row + 17 * half + 8

    def x(rank: float) -> float:
        return left + (right - left) * (rank - low) / max(1.0, high - low)

    parts = [_line(left, axis, right, axis)]
    for tick in range(int(low), int(high) + 1):
        parts += [_line(x(tick), axis - 5, x(tick), axis), _text(x(tick), axis - 10, str(tick), "middle")]
    for i, (name, rank) in enumerate(order.items()):
        on_left = i < half
        row = first_row + 17 * (i if on_left else len(order) - 1 - i)
        end = left - 10 if on_left else right + 10
        parts.append(f'<path d="M{x(rank):.1f} {axis} V{row:.1f} H{end:.1f}" fill="none" stroke="{SOFT}"/>')
        words = f"{name} {rank:.2f}"
        parts.append(
            _text(end + (-5 if on_left else 5), row + 4, words, "end" if on_left else "start", colour(str(name)))
        )
    for i, bar in enumerate(bars):
        y = axis + 12 + 9 * i
        parts.append(_line(x(order[bar[0]]) - 4, y, x(order[bar[-1]]) + 4, y, INK, 4))
    return _svg(1000, height, parts, "Average ranks; bars join methods that are not separated")


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

    parts = [_line(60, 380, 980, 380), _line(60, 30, 60, 380)]
    for tick in range(int(low), int(high) + 1):
        parts += [_line(x(tick), 380, x(tick), 385), _text(x(tick), 400, f"{10.0**tick:g} s", "middle")]
    for value in np.linspace(bottom, top, 6):
        parts += [_line(56, y(value), 60, y(value)), _text(52, y(value) + 4, f"{value:.2f}", "end")]
    taken: list[tuple[float, float]] = []
    for name, log, value in zip(points.index, logs, values, strict=True):
        at_x, at_y = x(log), y(value)
        parts.append(f'<circle cx="{at_x:.1f}" cy="{at_y:.1f}" r="4" fill="{colour(name)}"/>')
        while any(abs(at_x - ox) < 150 and abs(at_y - oy) < 12 for ox, oy in taken):
            at_y += 12
        taken.append((at_x, at_y))
        right = at_x < 830
        parts.append(_text(at_x + (8 if right else -8), at_y + 4, name, "start" if right else "end", colour(name)))
    lowest = max(oy for _, oy in taken)
    parts.append(_text(60, 18, f"mean {metric} (families) against median fit + score time"))
    return _svg(1000, max(410, lowest + 10), parts, f"{metric} against time")


def heat(value: float, low: float, high: float) -> str:
    """Background of a table cell, from pale to blue; nothing for a missing value."""
    if not np.isfinite(value):
        return "#f6d5d5"
    share = float(np.clip((value - low) / (high - low if high > low else 1.0), 0, 1))
    tone = [round(255 + share * (target - 255)) for target in (116, 169, 207)]
    return "#{:02x}{:02x}{:02x}".format(*tone)
