"""The figures of a report, drawn as SVG text: what is drawn is counted before, so size follows pixels and not rows."""

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from odkit.pages import line, svg, text
from odkit.report.findings import Bins
from odkit.words import number

__all__ = ["category_bars", "histogram", "precision_recall", "score_histogram", "shares_by_period", "timeline"]

SOFT, GRID = "#6b7686", "#e7eaef"
REST, FLAG = "#9db4d8", "#cf3f2f"
LEFT, WIDE = 44.0, 940.0  # margins of the wide figures: x from LEFT to LEFT + WIDE
MAX_POINTS = 400  # flagged points on a timeline; every spike of the outline is there whatever this is


def _steps(x: NDArray, tops: NDArray, base: float, fill: str) -> str:
    """Bars as one path; bars of no height are left out."""
    pieces, open_ = [], False
    for i, top in enumerate(tops):
        if top >= base:
            pieces += [f"V{base:.1f}Z"] if open_ else []
            open_ = False
            continue
        pieces.append(f"V{top:.1f}H{x[i + 1]:.1f}" if open_ else f"M{x[i]:.1f} {base:.1f}V{top:.1f}H{x[i + 1]:.1f}")
        open_ = True
    pieces += [f"V{base:.1f}Z"] if open_ else []
    return f'<path d="{"".join(pieces)}" fill="{fill}"/>'


def _end(value: float, beyond: bool, sign: str) -> str:
    return f"{sign} {number(value, 3)}" if beyond else number(value, 3)


def score_histogram(found: Bins, rest: NDArray, flagged: NDArray, threshold: float | None) -> str:
    """Counts on a logarithmic axis, flagged rows above the others; the slider of the page moves the line."""
    top, base = 26.0, 226.0
    x = LEFT + WIDE * (found.edges - found.edges[0]) / (found.edges[-1] - found.edges[0])
    counts = rest + flagged
    ceiling = np.log10(1 + max(int(counts.max()), 9))

    def y(count: Any) -> Any:
        return base - (base - top) * np.log10(1 + count) / ceiling

    parts = []
    for power in range(int(ceiling) + 1):
        at = float(y(10**power))
        parts += [line(LEFT, at, LEFT + WIDE, at, GRID), text(LEFT - 8, at + 4, f"{10**power:,}", "end", SOFT)]
    parts += [
        _steps(x, y(counts), base, FLAG),
        _steps(x, y(rest), base, REST),
        line(LEFT, base, LEFT + WIDE, base, SOFT),
    ]
    parts += _ticks(found, base)
    level = found.edges[-1] if threshold is None else threshold
    share = float(np.clip((level - found.edges[0]) / (found.edges[-1] - found.edges[0]), 0, 1))
    at, hidden = LEFT + WIDE * share, " hidden" if threshold is None else ""
    step, side = (-7, "end") if at > 700 else (7, "start")
    parts.append(f'<g{hidden}><line class="threshold" x1="{at:.1f}" y1="12" x2="{at:.1f}" y2="{base}"/>')
    parts.append(f'<text class="threshold" x="{at + step:.1f}" y="20" text-anchor="{side}">')
    parts.append(f"flagged above {escape(number(level))}</text></g>")
    return svg(1000, 254, parts, "Histogram of the anomaly scores")


def _ticks(found: Bins, base: float, left: float = LEFT, wide: float = WIDE, n: int = 6) -> list[str]:
    low, high = found.edges[0], found.edges[-1]
    if found.whole:  # a bar per integer: the label belongs under its middle
        half = wide / (2 * (len(found.edges) - 1))
        low, high, left, wide = low + 0.5, high - 0.5, left + half, wide - 2 * half
        n = next(k for k in (*range(min(n, int(high - low) + 1), 2, -1), 2) if (high - low) % (k - 1) == 0)
    parts = []
    for i, value in enumerate(np.linspace(low, high, n)):
        beyond, sign = (found.below, "≤") if i == 0 else (found.above, "≥") if i == n - 1 else (False, "")
        anchor = "start" if i == 0 else "end" if i == n - 1 else "middle"
        at = left + wide * i / (n - 1)
        parts.append(text(at, base + 18, _end(value, beyond, sign), anchor, SOFT))
    return parts


def histogram(found: Bins, rest: NDArray, flagged: NDArray, marks: Sequence[float], label: str, attributes: str) -> str:
    """A feature: all rows, the flagged ones in red at their own scale, and a stroke for each of the strangest rows."""
    base, wide = 84.0, 300.0
    low, span = found.edges[0], found.edges[-1] - found.edges[0]
    x = wide * (found.edges - low) / span
    every = rest + flagged
    parts = [_steps(x, base - 70 * np.sqrt(every / max(every.max(), 1)), base, "#c9d6ea")]
    if flagged.any():
        tops = base - 70 * np.sqrt(flagged / flagged.max())
        parts.append(_steps(x, tops, base, FLAG).replace("/>", ' opacity=".38"/>'))
    parts.append(line(0, base, wide, base, "#b6bfcc"))
    at = [wide * min(max((value - low) / span, 0.0), 1.0) for value in marks]
    parts.append(f'<path d="{"".join(f"M{a:.1f} {base + 2}v7" for a in at)}" stroke="{FLAG}" opacity=".6"/>')
    parts.append(f'<g class="mark" hidden><line y1="2" y2="{base + 9}"/><circle cy="4" r="4"/></g>')
    parts += _ticks(found, base + 8, 0, wide, 3)
    return svg(wide, 112, parts, label, f' data-low="{low:.9g}" data-span="{span:.9g}"{attributes}')


def category_bars(rows: Sequence[tuple[str, int, int]], label: str, attributes: str) -> str:
    """A feature of texts: name, rows and flagged rows of each; the flagged share is the red part of the bar."""
    most = max(n for _, n, _ in rows)
    parts = []
    for i, (name, n, flagged) in enumerate(rows):
        y, wide = 4 + 17 * i, max(1.0, 150 * n / most)
        shown = name if len(name) <= 20 else name[:19] + "…"
        parts.append(f'<g class="bar" data-code="{i}"><rect y="{y - 2}" width="300" height="16" fill="none"/>')
        parts.append(text(0, y + 10, shown, fill="#3b4553"))
        parts.append(f'<rect x="128" y="{y}" width="{wide:.1f}" height="12" rx="2" fill="#c9d6ea"/>')
        parts.append(
            f'<rect x="128" y="{y}" width="{wide * flagged / max(n, 1):.1f}" height="12" rx="2" fill="{FLAG}"/>'
        )
        parts.append(f"<title>{escape(name)}: {n:,} rows, {flagged:,} flagged</title></g>")
    return svg(300, max(112, 6 + 17 * len(rows)), parts, label, attributes)


def timeline(time: pd.Series, score: NDArray, flagged: NDArray, threshold: float | None) -> tuple[str, int]:
    """Highest and lowest score of every pixel, flagged rows as points; also how many flagged rows are not drawn."""
    top, base = 16.0, 216.0
    seen = time.notna().to_numpy() & np.isfinite(score)
    place = pd.to_numeric(time[seen]).to_numpy(np.float64)
    stamps, score, flagged = time[seen], score[seen], flagged[seen]
    low, span = place.min(), max(np.ptp(place), 1e-300)
    positive = score[score > 0]
    logarithmic = len(positive) == len(score) and score.max() > 20 * np.median(score)
    shown = np.log10(score) if logarithmic else score
    floor, height = float(shown.min()), max(float(np.ptp(shown)), 1e-300)
    x = LEFT + WIDE * (place - low) / span
    y = base - (base - top) * (shown - floor) / height
    pixel = np.minimum((x - LEFT).astype(int), int(WIDE) - 1)
    outline = pd.DataFrame({"pixel": pixel, "y": y}).groupby("pixel")["y"].agg(["min", "max"])
    parts = []
    for value in np.linspace(floor, floor + height, 5):
        at = base - (base - top) * (value - floor) / height
        shown_value = number(10**value if logarithmic else value, 3)
        parts += [line(LEFT, at, LEFT + WIDE, at, GRID), text(LEFT - 8, at + 4, shown_value, "end", SOFT)]
    ends = ((LEFT + p + 0.5, lo, hi) for p, lo, hi in outline.itertuples())
    outline_path = "L".join(f"{at:.1f} {hi + 0.4:.1f}L{at:.1f} {lo - 0.4:.1f}" for at, lo, hi in ends)
    parts.append(f'<path d="M{outline_path}" stroke="#7f9cc9" fill="none" stroke-linejoin="round"/>')
    if threshold is not None and (threshold > 0 or not logarithmic):
        level = np.log10(threshold) if logarithmic else threshold
        at = base - (base - top) * (level - floor) / height
        if top <= at <= base:
            parts.append(f'<line class="threshold" x1="{LEFT}" y1="{at:.1f}" x2="{LEFT + WIDE}" y2="{at:.1f}"/>')
    drawn = np.flatnonzero(flagged)
    drawn = drawn[np.argsort(-score[drawn], kind="stable")][:MAX_POINTS]
    for i in drawn:
        when = str(stamps.iloc[i])
        parts.append(
            f'<circle cx="{x[i]:.1f}" cy="{y[i]:.1f}" r="2.6" fill="{FLAG}"><title>{escape(when)}: '
            f"{escape(number(score[i]))}</title></circle>"
        )
    parts += _dates(time, base)
    return svg(1000, 244, parts, "Anomaly score over time"), int(flagged.sum()) - len(drawn)


def _dates(time: pd.Series, base: float) -> list[str]:
    first, last = time.min(), time.max()
    dated = isinstance(first, pd.Timestamp)
    parts = []
    for i in range(6):
        value = first + (last - first) * (i / 5)
        if dated:
            span = last - first
            pattern = "%H:%M:%S" if span < pd.Timedelta(hours=2) else "%d %b %H:%M" if span.days < 8 else "%d %b %Y"
            words = value.strftime(pattern)
        else:
            words = number(value, 4)
        anchor = "start" if i == 0 else "end" if i == 5 else "middle"
        parts.append(text(LEFT + WIDE * i / 5, base + 19, words, anchor, SOFT))
    return parts


def shares_by_period(rows: Sequence[dict[str, Any]], time: pd.Series) -> str:
    """Flagged share of the rows of each period."""
    top, base = 10.0, 84.0
    shares = [row["flagged"] / row["rows"] if row["rows"] else 0.0 for row in rows]
    highest = max(shares) or 1.0
    step = WIDE / len(rows)
    parts = [
        line(LEFT, top, LEFT + WIDE, top, GRID),
        text(LEFT - 8, top + 4, f"{highest:.1%}" if highest < 0.1 else f"{highest:.0%}", "end", SOFT),
        text(LEFT - 8, base + 4, "0", "end", SOFT),
    ]
    for i, (row, share) in enumerate(zip(rows, shares, strict=True)):
        start = row["start"]
        when = start.strftime("%Y-%m-%d %H:%M").removesuffix(" 00:00") if hasattr(start, "strftime") else number(start)
        tall = (base - top) * share / highest
        parts.append(
            f'<rect x="{LEFT + step * i + 0.5:.1f}" y="{base - tall:.1f}" width="{max(step - 1, 0.5):.1f}" '
            f'height="{tall:.1f}" fill="{FLAG}" opacity=".75"><title>{when}: {int(row["flagged"]):,} of '
            f"{int(row['rows']):,} rows</title></rect>"
        )
    parts.append(line(LEFT, base, LEFT + WIDE, base, SOFT))
    return svg(1000, 112, [*parts, *_dates(time, base)], "Flagged share over time")


def precision_recall(recall: NDArray, precision: NDArray, rate: float, here: tuple[float, float]) -> str:
    """Precision over recall for every threshold, the point of the flags on it."""
    side, left, top = 250.0, 44.0, 10.0
    keep = np.unique(np.linspace(0, len(recall) - 1, 300).astype(int))

    def at(r: float, p: float) -> str:
        return f"{left + side * r:.1f} {top + side * (1 - p):.1f}"

    parts = []
    for value in (0, 0.5, 1):
        y = top + side * (1 - value)
        parts += [line(left, y, left + side, y, GRID), text(left - 8, y + 4, f"{value:g}", "end", SOFT)]
        parts.append(text(left + side * value, top + side + 18, f"{value:g}", "middle", SOFT))
    parts.append(line(left, top + side * (1 - rate), left + side, top + side * (1 - rate), "#b6bfcc"))
    curve = "L".join(at(recall[i], precision[i]) for i in keep)
    parts.append(f'<path d="M{at(0.0, precision[0])}L{curve}" fill="none" stroke="#2f5fae" stroke-width="2"/>')
    x, y_ = at(*here).split()
    parts.append(f'<circle cx="{x}" cy="{y_}" r="5" fill="{FLAG}"/>')
    parts += [
        text(left + side / 2, top + side + 36, "recall", "middle", SOFT),
        text(left + 6, top + 14, "precision", fill=SOFT),
    ]
    return svg(320, 300, parts, "Precision over recall")
