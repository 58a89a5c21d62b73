"""Score files larger than memory: plan, refuse what does not fit, go on where an earlier run was stopped."""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from joblib import cpu_count

import odkit
from odkit import model_file
from odkit.jobs import budget
from odkit.jobs.cluster import Cluster
from odkit.jobs.fitted import load
from odkit.jobs.formats import suffix_of
from odkit.jobs.inputs import expand, relative
from odkit.jobs.manifest import Folder, JobLocked, JobRefused
from odkit.jobs.plan import Input, survey
from odkit.jobs.progress import Done
from odkit.jobs.scorer import Scorer
from odkit.jobs.streams import Stream, open_stream
from odkit.jobs.workers import Job, JobResult
from odkit.words import listed

__all__ = ["Done", "JobFailed", "JobLocked", "JobRefused", "JobResult", "score_files"]

ON_ERROR = ("fail", "skip")
MAX_WORKERS = 8  # by default: reading and writing seldom feed more


class JobFailed(RuntimeError):
    """The job stopped on its way; what is done is kept, and the same call goes on from there."""


def score_files(
    model: str | os.PathLike,
    inputs: Sequence[str | os.PathLike],
    output: str | os.PathLike,
    *,
    keys: Sequence[str] = (),
    ignore: Sequence[str] = (),
    workers: int | None = None,
    memory: int | str | None = None,
    batch: int = 32_768,
    on_error: str = "fail",
    nan: str = "error",
    top: int = 0,
    delimiter: str | None = None,
    header: bool = True,
    overwrite: bool = False,
    verify: bool = False,
    dask: str | None = None,
    progress: Callable[[Done], None] | None = None,
) -> JobResult:
    """Score the rows of files with a model, into a folder of Parquet files.

    Rows out are rows in, in order: part after part by name, row after row. The same call goes on where an earlier one
    was stopped or killed, and ends with the same bytes as one that was not.

    Parameters
    ----------
    model : a model file, as `odkit fit` or `odkit.model_file.save` write it
    inputs : Parquet and CSV files (also .csv.gz), folders of them, or patterns; see `odkit.jobs.inputs.expand`
    output : a folder: new, empty, or that of the same job
    keys : columns that name a row and are carried over; by default `row`, the row's number in its file, counted from 0,
        and `file` where there are several
    ignore : columns that are neither; only a model that was fitted without names of columns must know
    workers : threads; by default the cores, at most 8, as far as `memory` allows
    memory : most memory of the process, in bytes or as "2GB"; it decides on threads and batch, not on results
    batch : rows scored at once
    on_error : "fail" stops at the first file or part that cannot be scored, "skip" leaves it out, notes it, and tries
        it again when the job is started again
    nan : "error" or "null": rows with missing or infinite values are an error, or get an empty score
    top : number of reasons per row: `top_1`, `top_1_share`, ...
    delimiter, header : of CSV files
    overwrite : delete what an earlier job made in `output`, and start again
    verify : trust what is there by every byte, not by size and footer
    dask : address of a Dask scheduler, "tcp://host:8786": its workers do the parts, and must find all files and the
        output under the same names as this process; `workers` and `memory` then have no meaning
    progress : called after every batch, from any thread, one at a time

    Returns
    -------
    JobResult
        With on_error="skip" look at `failed`; after SIGINT or SIGTERM at `signal`.

    Raises
    ------
    JobRefused
        Before anything is changed: the files, the model or the options do not fit, or are others than those of the job
        whose results stand in `output`.
    JobLocked
        If another process writes to `output`.
    JobFailed
        If a part failed (with on_error="fail") or nothing can be written; results so far are kept.
    """
    if on_error not in ON_ERROR:
        raise ValueError(f"on_error={on_error!r} is unknown; allowed are {listed(ON_ERROR)}")
    files = expand(inputs)
    target = Path(output).resolve()
    for given in inputs:
        if Path(given).is_dir() and not target.is_file() and target.is_relative_to(Path(given).resolve()):
            raise ValueError(f"{output} lies within {given}, so the next start would read its own results; move it")
    if dask is not None:  # workers may stand in another folder
        files, output = [path.absolute() for path in files], Path(output).absolute()
    folder = Folder(output)
    stored = folder.manifest()
    if dask is not None and (workers, memory) != (None, None):
        raise ValueError("workers and memory are for threads here; a Dask cluster has its own, leave them out")
    open_file = partial(open_stream, delimiter=delimiter, header=header)
    first = _first(files, open_file)
    scorer = Scorer(load(model), first, keys=keys, ignore=ignore, several=len(files) > 1, nan=nan, top=top)
    limits = budget.limits(memory, workers or min(cpu_count(), MAX_WORKERS), batch, len(scorer.columns.names))
    wanted = {
        "model": model_file.fingerprint(model),
        "columns": scorer.columns.names,
        "result": [f"{field.name}: {field.type}" for field in scorer.schema],
        "nan": nan,
        "delimiter": delimiter,
        "header": header,
    }
    plan, streams = survey(files, relative(files), open_file, scorer.check)
    _refuse_problems(plan, on_error)
    cluster = None if dask is None else _cluster(dask, [folder.path, *files])
    try:
        with nullcontext() if cluster is None else cluster, folder.lock():
            _prepare(folder, stored, wanted, plan, overwrite)
            digest = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()
            job = Job(
                folder,
                scorer,
                plan,
                streams,
                digest=digest,
                batch=limits.batch,
                keep_going=on_error == "skip",
                listener=progress,
            )
            # one part more than threads, so that none waits for the next
            at_once = limits.workers if cluster is None else cluster.threads + 1
            result = job.run(at_once, verify=verify, cluster=cluster)
    except PermissionError as error:
        raise PermissionError(f"cannot write to {folder.path}: {error.strerror}; choose another folder") from None
    except OSError as error:
        raise JobFailed(
            f"cannot write to {folder.path}: {error.strerror or error}; what is done is kept, so mend that and give "
            "the same command again"
        ) from error
    if result.failed and on_error == "fail":
        raise JobFailed(
            f"{result.failed[0]}. {result.parts} parts are done and kept; mend the file and give the same command "
            "again, or leave such parts out by --on-error skip"
        )
    return result


def _cluster(address: str, paths: Sequence[Path]) -> Cluster:
    """The cluster, if its workers see these files, and of the output the folder that it lies in."""
    cluster = Cluster(address)
    try:
        cluster.check(next(seen for seen in (path, *path.parents) if seen.exists()) for path in paths)
    except BaseException:
        cluster.close()
        raise
    return cluster


def _first(files: Sequence[Path], open_file: Callable[[Path], Stream]) -> Stream:
    """The first file that can be opened, a Parquet file if there is one: it knows the types of keys."""
    errors: list[Exception] = []
    for path in sorted(files, key=lambda path: suffix_of(path) != ".parquet"):
        try:
            return open_file(path)
        except (ValueError, OSError) as error:
            errors.append(error)
    raise errors[0]


def _refuse_problems(plan: Sequence[Input], on_error: str) -> None:
    bad = [entry for entry in plan if entry.problem]
    if bad and (on_error == "fail" or len(bad) == len(plan)):
        raise JobRefused(
            f"{len(bad)} of {len(plan)} files cannot be scored, so none was: "
            + "; ".join(f"{entry.name}: {entry.problem}" for entry in bad[:3])
            + f" (and {len(bad) - 3} more files)" * (len(bad) > 3)
            + ". Mend them, or leave them out by --on-error skip" * (len(bad) < len(plan))
        )
    if all(entry.rows == 0 for entry in plan):
        raise JobRefused(f"there is no row in {listed(entry.name for entry in plan)}; nothing to score")


def _prepare(
    folder: Folder, stored: dict[str, Any] | None, wanted: dict[str, Any], plan: Sequence[Input], overwrite: bool
) -> None:
    """Bring the folder to the plan: what it holds either belongs to the plan or is refused."""
    if folder.manifest() != stored:
        raise JobLocked(f"another job has just begun to write to {folder.path}; wait for it")
    old = [] if stored is None else [Input.from_json(entry) for entry in stored["inputs"]]
    if stored is not None:
        folder.check_own(old)
        if overwrite:
            folder.clear(old)
        else:
            folder.forget(old, _changed(folder, stored, wanted, old, plan))
    if stored is None or overwrite or old != list(plan):
        folder.unfinish()
        folder.write_manifest({**wanted, "inputs": [entry.to_json() for entry in plan], "odkit": odkit.__version__})


def _changed(
    folder: Folder, stored: dict[str, Any], wanted: dict[str, Any], old: Sequence[Input], plan: Sequence[Input]
) -> list[int]:
    """The numbers of the files that are planned anew: those that changed after they failed, or before they were scored.

    Raises
    ------
    JobRefused
        If results of another model, of other options or of other rows stand in the folder.
    """
    advice = "choose another folder, or start anew with --overwrite"
    for name, value in wanted.items():
        if stored[name] != value:
            raise JobRefused(f"{folder.path} was begun with {name} {stored[name]!r}, now it is {value!r}; {advice}")
    before, now = [entry.name for entry in old], [entry.name for entry in plan]
    if before != now:
        odd = sorted({*before} ^ {*now})
        raise JobRefused(
            f"{folder.path} was begun with other files: "
            + (f"only one of both has {listed(odd)}" if odd else "their order was another")
            + f"; {advice}"
        )
    status: dict[int, set[str]] = {entry.number: set() for entry in plan}
    for name, record in folder.records().items():
        status[int(name.partition("-")[0])].add(record["status"])
    changed = [entry.number for entry, fresh in zip(old, plan, strict=True) if entry != fresh]
    for number in changed:
        if status[number] == {"done"}:
            raise JobRefused(f"{plan[number].name} has changed since its rows were scored; {advice}")
    return changed
