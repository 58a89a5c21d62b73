"""What does not fit into memory: when `odkit score` and `odkit fit` work in parts, and what their words mean then."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from odkit.jobs import reporters, screen

__all__ = ["fit", "is_job", "refuse_job_options", "refuse_own_reference", "score"]


def is_job(out: str) -> bool:
    """Whether --out is meant to be a folder: it is one, ends with a slash, or has no suffix."""
    return os.path.isdir(out) or out.endswith(os.sep) or not Path(out).suffix


def refuse_job_options(
    memory: str | None, workers: int | None, on_error: str | None, overwrite: bool, verify: bool, dask: str | None
) -> None:
    """Raise ValueError if something is given that only a job understands."""
    options = {
        "--memory": memory,
        "--workers": workers,
        "--on-error": on_error,
        "--overwrite": overwrite or None,
        "--verify": verify or None,
        "--dask": dask,
    }
    given = [option for option, value in options.items() if value is not None]
    if given:
        raise ValueError(f"{given[0]} is for jobs, which write to a folder; give one with --out FOLDER")


def refuse_own_reference(files: Sequence[str], reference: Sequence[str]) -> None:
    """Raise ValueError if a file is to be compared with itself."""
    for file in reference:
        if any(os.path.realpath(file) == os.path.realpath(other) for other in files):
            raise ValueError(f"--reference {file} is scored too; a file cannot be its own reference")


def fit(source: Any, detector: Any, memory: str | None, **options: Any) -> Any:
    """Fit on files in memory, or in blocks where they would take more than `memory`."""
    from odkit.jobs import blockwise, single

    return (blockwise if blockwise.too_large(source, memory) else single).fit(source, detector, **options)


def score(
    files: Sequence[str],
    model: str | None,
    out: str,
    *,
    columns: Sequence[str],
    fdr: float | None,
    p_values: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Run the job, show its progress and its end; the exit code."""
    from odkit.jobs.fitted import load
    from odkit.jobs.run import score_files
    from odkit.jobs.significance import Significance

    if model is None:
        raise ValueError(
            f"--out {out} is a folder, so this is a job, and a job needs a model: write one with odkit fit and give it "
            "by --model (or write to a file: --out scores.csv)"
        )
    if columns:
        raise ValueError("--columns belongs to the fit; a model brings its own columns")
    if fdr is not None:
        raise ValueError(
            "--fdr compares all rows with each other, and a job sees them in parts; its model's p-values are in the "
            "result (odkit fit --p-values), for odkit.decide.fdr.benjamini_hochberg"
        )
    if p_values:
        Significance(p_values).check(load(model).detector, fitted=True)
    with reporters.job_progress() as report:
        result = score_files(model, files, out, progress=report, **options)
    return screen.show_job(result, out, as_json=as_json)
