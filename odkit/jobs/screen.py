"""What the command line shows: tables for people and JSON for programs on stdout, notes on stderr."""

import json
import math
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from odkit.words import counted, number, printable

if TYPE_CHECKING:  # a list of detectors is shown without what scoring needs
    from odkit.jobs.run import JobResult
    from odkit.jobs.single import Scored

__all__ = ["show_facts", "show_job", "show_model", "show_records", "show_scored"]

MAX_CELL = 40
REASON_COLUMNS: dict[str, Literal["left", "right"]] = {
    "because of": "left",
    "value": "right",
    "which is": "left",
    "expected": "right",
    "usually": "left",
    "share": "right",
}
MAX_FAILURES = 10
PIPE_WIDTH = 120  # where stdout is no terminal and COLUMNS does not say otherwise


def show_scored(name: str, scored: "Scored", out: str | None, *, as_json: bool = False) -> None:
    """The result of a job: how many rows were flagged, the most anomalous ones and why."""
    rows, detector = len(scored.frame), scored.detector
    who = _words(detector)
    for sentence in scored.notes:
        _note(sentence)
    if as_json:
        _show_json(
            {
                "input": name,
                "rows": rows,
                "columns": scored.n_features,
                "detector": who,
                "params": _steps(detector)[-1].get_params(),
                "flagged": scored.flagged,
                "unscored": scored.unscored,
                "out": out,
                "notes": scored.notes,
                "top": scored.top,
            }
        )
        return
    share = scored.flagged / max(rows - scored.unscored, 1)
    _line(
        f"{name}: {counted(rows, 'row')} x {counted(scored.n_features, 'column')}, {who}: "
        f"{counted(scored.flagged, 'row')} flagged as {'outlier' if scored.flagged == 1 else 'outliers'} ({share:.1%})"
    )
    if scored.top:
        _show_top(scored.top)
    if out is not None:
        _line(f"written: {out} ({', '.join(map(str, scored.frame.columns))})")


def show_model(card: dict[str, Any], notes: Sequence[str], *, as_json: bool = False) -> None:
    """What `odkit.model_file.inspect` says."""
    for sentence in notes:
        _note(sentence)
    if as_json:
        _show_json(card)
        return
    data = card["notes"].get("data") or {}
    names = card["feature_names"] or [f"{card['n_features']} without names"]
    files = ", ".join(f"{file['name']} ({file['bytes']:,} bytes)" for file in data.get("files", []))
    facts = {
        "class": card["class"],
        "parameters": ", ".join(f"{name}={_brief(value)}" for name, value in card["params"].items()),
        "columns": f"{card['n_features']}: {', '.join(map(str, names))}",
        "flags scores above": None if card["offset"] is None else number(-card["offset"]),
        "fitted on": f"{counted(data['rows'], 'row')} of {files}" if data else None,
        "written by": ", ".join(f"{name} {version}" for name, version in card["versions"].items()),
        "size": f"{card['bytes']:,} bytes in {len(card['arrays'])} arrays",
        "fingerprint": card["fingerprint"],
    }
    show_facts({name: value for name, value in facts.items() if value is not None})


def show_facts(facts: Mapping[str, Any], *, as_json: bool = False) -> None:
    """Named facts, one a line; a nested mapping or list is spread out."""
    if as_json:
        _show_json(facts)
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts.items():
        items = (
            value
            if isinstance(value, list)
            else [f"{k} {v or '-'}" for k, v in value.items()]
            if isinstance(value, Mapping)
            else [value]
        )
        for i, item in enumerate(items):
            table.add_row(Text(name if i == 0 else ""), _cell(item, limit=None))
    _console().print(table)


def show_records(records: Iterable[Mapping[str, Any]], *, as_json: bool = False, wrap: bool = False) -> None:
    """Records of equal keys as a table; `wrap` breaks long cells into lines where they would be cut."""
    records = list(records)
    if as_json:
        _show_json(records)
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", show_lines=False)
    for name in records[0] if records else ():
        right = all(isinstance(record[name], int | float) for record in records)
        table.add_column(Text(str(name)), justify="right" if right else "left", overflow="fold")
    for record in records:
        table.add_row(*(_cell(value, limit=None if wrap else MAX_CELL) for value in record.values()))
    _console().print(table)


def _show_top(top: list[dict[str, Any]]) -> None:
    keys = [name for name in top[0] if name not in ("anomaly_score", "is_outlier", "p_value", "reasons")]
    tested = "p_value" in top[0]
    explained = any(record["reasons"] for record in top)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for name in keys:
        table.add_column(Text(str(name)))
    table.add_column("score", justify="right")
    if tested:
        table.add_column("p-value", justify="right")
    table.add_column("flag")
    for name, justify in REASON_COLUMNS.items() if explained else ():
        table.add_column(name, justify=justify)
    for record in top:
        for i, reason in enumerate(record["reasons"] or [None]):
            first = i == 0
            row = [_cell(record[name]) if first else "" for name in keys]
            row.append(f"{record['anomaly_score']:,.2f}" if first else "")
            row += [number(record["p_value"], 2) if first else ""] if tested else []
            row.append(Text("outlier", style="bold red") if first and record["is_outlier"] else "")
            if reason is not None:
                strong = "bold" if reason["odd"] else ""
                row += [_cell(reason["feature"], strong), _cell(reason["value"], strong), _cell(reason["direction"])]
                row += [_cell(reason["expected"]), _cell(reason["usual"], "dim"), f"{reason['share']:.0%}"]
            table.add_row(*row)
    _console().print(table)


def show_job(result: "JobResult", out: str, *, as_json: bool = False) -> int:
    """What became of a job of many parts; the exit code."""
    for sentence in result.failed[:MAX_FAILURES]:
        _note(f"left out: {sentence}")
    if len(result.failed) > MAX_FAILURES:
        _note(f"left out: {len(result.failed) - MAX_FAILURES} more; see the records in {out}/_parts")
    if as_json:
        _show_json({"out": out, **vars(result)})
    else:
        new = result.parts - result.skipped
        _line(
            f"{out}: {counted(result.rows, 'row')} in {counted(result.parts, 'part')}, {result.flagged:,} flagged as "
            f"outliers ({result.flagged / max(result.rows - result.unscored, 1):.1%})"
            + f", {result.unscored:,} without a score"
            * (result.unscored > 0)
        )
        _line(f"{counted(new, 'part')} made in {result.seconds:,.1f} s, {result.skipped:,} there from earlier runs")
    if result.signal:
        _note("stopped by hand; give the same command again to go on")
        return 128 + result.signal
    return 3 if result.failed else 0


def _line(sentence: str) -> None:
    print(printable(sentence))


def _note(sentence: str) -> None:
    print(printable(f"note: {sentence}"), file=sys.stderr)


def _show_json(value: Any) -> None:
    """One JSON document; NaN and infinity, which JSON has not, as null."""
    print(json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False, default=str))


def _steps(detector: Any) -> list[Any]:
    return [step for _, step in detector.steps] if hasattr(detector, "steps") else [detector]


def _words(detector: Any) -> str:
    """A detector in words: "KNN after StandardScaler", "Conformal of ECOD"."""
    if hasattr(detector, "steps"):
        return " after ".join(map(_words, reversed(_steps(detector))))
    inner = getattr(detector, "detector_", None)
    return type(detector).__name__ + (f" of {_words(inner)}" if inner is not None else "")


def _brief(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_brief, value))}]"
    if isinstance(value, dict) and "class" in value:
        return f"{value['class']}({', '.join(f'{k}={_brief(v)}' for k, v in value['params'].items())})"
    return str(value)


def _console() -> Console:
    fixed = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(width=None if fixed else PIPE_WIDTH, highlight=False)


def _cell(value: Any, style: str = "", limit: int | None = MAX_CELL) -> Text:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return Text("")
    text = number(value) if isinstance(value, float) else printable(str(value))
    return Text(text if limit is None or len(text) <= limit else text[: limit - 1] + "…", style=style)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value.item() if hasattr(value, "item") and not isinstance(value, str) else value
