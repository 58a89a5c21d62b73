"""Pieces of self-contained HTML pages: figures as plain SVG text, a script that sorts tables, a template engine.

No plotting library and no font files: a figure is a few kilobytes, and a page loads nothing.
"""

from html import escape
from typing import Any

__all__ = ["INK", "SORTING", "environment", "line", "svg", "text"]

INK = "#24292f"

# a click on a head of a table of class "sort" orders its rows; a cell's data-v, where there is one, stands for its text
SORTING = """
for (const table of document.querySelectorAll("table.sort")) {
  table.tHead.addEventListener("click", event => {
    const head = event.target.closest("th"); if (!head) return;
    const i = head.cellIndex, up = head.dataset.up = head.dataset.up === "1" ? "" : "1";
    for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const key = row => {
      const cell = row.cells[i], t = cell.dataset.v ?? cell.textContent.trim(), n = parseFloat(t);
      return isNaN(n) ? (t === "–" ? Infinity : t) : n;
    };
    const rows = [...table.tBodies[0].rows].map(row => [key(row), row]);
    const order = (a, b) => typeof a === typeof b ? (a > b) - (a < b) : typeof a === "number" ? -1 : 1;
    rows.sort(([a], [b]) => order(a, b) * (up ? 1 : -1));
    table.tBodies[0].append(...rows.map(pair => pair[1]));
  });
}
""".strip()


def environment() -> Any:
    """A jinja2 environment that escapes everything by itself."""
    try:
        import jinja2
    except ImportError:
        raise ImportError("a report needs jinja2, which is missing: pip install 'odkit[report]'") from None
    return jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)


def svg(width: float, height: float, parts: list[str], label: str, attributes: str = "") -> str:
    """A figure of the given size; `label` is what a screen reader says. Attributes are not escaped."""
    head = f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(label)}" class="figure"'
    return f"{head}{attributes}>{''.join(parts)}</svg>"


def text(x: float, y: float, words: str, anchor: str = "start", fill: str = INK) -> str:
    """Escaped words at a point."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}">{escape(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, stroke: str = INK, width: float = 1) -> str:
    """A straight line."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}" stroke-width="{width:g}"/>'
