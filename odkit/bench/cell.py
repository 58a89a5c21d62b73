"""What a child process does: one detector on one data set, under limits that it cannot lift.

It knows nothing of the parent but a pipe to answer through and a pipe whose end means that the parent is gone.
"""

import fcntl
import gc
import hashlib
import io
import multiprocessing
import multiprocessing.process
import os
import resource
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from odkit.atomic import whole_file
from odkit.bench.config import Protocol
from odkit.bench.contestants import build
from odkit.bench.measures import Scored, measure
from odkit.bench.memory import peak_mb, reset_peak
from odkit.bench.protocol import Prepared, Unsupported, batch_leak, prepare, preprocessing_leak, row_facts, scale
from odkit.bench.stats import bootstrap_interval
from odkit.datasets import load

__all__ = ["Task", "child", "in_sample_score"]

TAIL = 4096  # bytes of a traceback or log that are kept
BATCH_DEPENDENT = "the scores depend on the batch"
SEEN_TEST = "preprocessing has looked at the test rows"


@dataclass(frozen=True)
class Task:
    """All that a child is told: plain values, so that any start method can carry it."""

    cell_id: str
    dataset: str
    protocol: dict[str, Any]
    path: str
    params: dict[str, Any]
    seed: int
    seeded: bool
    metrics: tuple[str, ...]
    max_train_rows: int | None
    max_features: int | None
    data_home: str | None
    run_dir: str
    timeout_s: float
    memory_mb: int
    threads: int


def child(task: Task, answer: Connection) -> None:
    """Run the cell and send a plain dict: status, figures, metrics; then leave without further ado."""
    gc.freeze()  # what the fork server imported is nobody's garbage, and walking it would copy its pages
    log = os.open(log_path(task), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    _limit(task)
    try:
        result = _answer(task)
    except OSError as error:  # the disk, not the detector: _answer keeps what the detector raises
        result = {"unwritten": f"{type(error).__name__}: {error}"}
    answer.send(result)
    answer.close()
    os._exit(0)  # no interpreter teardown: a detector's leftovers must not turn a result into a crash


def log_path(task: Task) -> Path:
    """Where the child's standard output and error go."""
    return Path(task.run_dir) / "logs" / f"{task.cell_id[:16]}.log"


def _limit(task: Task) -> None:
    """Die with the parent; bounded address space and processor time; no core files; own process group."""
    os.setsid()
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent,), daemon=True).start()
        _follow_in_c(parent.sentinel)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    cpu = int(task.timeout_s * task.threads + 10)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu))
    if not _uses_gpu(task.params):  # drivers reserve address space by the 100 GB; the parent's watch holds there too
        already = psutil.Process().memory_info().vms
        limit = already + task.memory_mb * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    threadpool_limits(task.threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(task.threads)


def _uses_gpu(params: dict[str, Any]) -> bool:
    return str(params.get("device") or "cpu") != "cpu"


def _follow(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os.killpg(0, signal.SIGKILL)


def _follow_in_c(sentinel: int) -> None:
    """Let the kernel end this process when the parent's end of the pipe closes: a thread cannot run while a C loop
    holds the interpreter. SIGIO, which nobody handles, terminates."""
    if hasattr(os, "O_ASYNC"):
        fcntl.fcntl(sentinel, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(sentinel, fcntl.F_SETFL, fcntl.fcntl(sentinel, fcntl.F_GETFL) | os.O_ASYNC)


def _answer(task: Task) -> dict[str, Any]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        try:
            result = _run(task)
        except Unsupported as reason:
            result = {"status": "skipped", "error_type": "Unsupported", "error_tail": str(reason)}
        except MemoryError:
            result = {"status": "oom", "error_type": "MemoryError", "error_tail": _tail()}
        except _Unwritten as error:
            raise error.reason from None
        except BaseException as error:  # whatever a detector raises is its result, SystemExit too
            result = {"status": "error", "error_type": type(error).__name__, "error_tail": _tail()}
    result["warnings"] = "\n".join(dict.fromkeys(f"{w.category.__name__}: {w.message}" for w in caught))[:TAIL]
    return result


class _Unwritten(Exception):
    """The scores could not be written; `reason` is the OSError."""

    def __init__(self, reason: OSError):
        self.reason = reason


def _tail() -> str:
    return traceback.format_exc()[-TAIL:]


def in_sample_score(detector: Any, X: NDArray) -> NDArray:
    """Anomaly scores of the rows of the fit: the ones the fit left behind, where it left any."""
    for name in ("training_scores_", "negative_outlier_factor_"):
        if hasattr(detector, name):
            return -np.asarray(getattr(detector, name), dtype=np.float64)
    return -np.asarray(detector.score_samples(X), dtype=np.float64)


def _run(task: Task) -> dict[str, Any]:
    protocol = Protocol(**task.protocol)
    if task.data_home is not None:
        os.environ["ODKIT_DATA_HOME"] = task.data_home  # for parameters that name a card's file
    prepared = prepare(load(task.dataset, data_home=task.data_home, verify=False), protocol, task.seed)
    facts: dict[str, Any] = {
        "n_train": len(prepared.train),
        "n_test": prepared.is_outlier.size,
        "d": int(np.prod(prepared.train.shape[1:])),
        "outlier_rate": float(prepared.is_outlier.mean()),
        "n_threads": task.threads,
        **row_facts(prepared),
    }
    _declared(task, facts)
    detector = _built(task)
    if prepared.train.ndim > 2 and _takes_rows(detector):
        prepared = prepared.as_rows(protocol.scaler, protocol.dtype)
    scores, figures = _fit_and_score(detector, prepared)
    facts |= figures
    if scores.shape != prepared.is_outlier.shape or not np.isfinite(scores).all():
        what = (
            f"{scores.shape} scores for {prepared.is_outlier.size} rows"
            if scores.shape != prepared.is_outlier.shape
            else f"{np.sum(~np.isfinite(scores))} of {scores.size} scores are not finite"
        )
        return {**facts, "status": "nan_scores", "error_type": "nan_scores", "error_tail": what}
    _, counts = np.unique(scores, return_counts=True)
    facts["n_unique_scores"] = int(counts.size)
    facts["tie_fraction"] = float(counts[counts > 1].sum() / scores.size)
    facts["leak"] = _leaks(detector, prepared, protocol, scores, task.seed)
    maps = None
    if hasattr(detector, "anomaly_map"):
        maps = np.asarray(detector.anomaly_map(prepared.train if prepared.test is None else prepared.test), np.float32)
    scored = Scored(
        prepared.is_outlier, scores, facts["threshold"], prepared.severity, prepared.ordered, prepared.masks, maps
    )
    if np.isnan(facts["threshold"]):
        facts["threshold"] = None
    if prepared.is_outlier.any():
        facts["roc_low"], facts["roc_high"] = bootstrap_interval(prepared.is_outlier, scores)
    facts["score_path"], facts["score_sha"] = _write(task, scores.astype(np.float32))
    if maps is not None:
        _write(task, maps.astype(np.float16), ".maps")
    return {**facts, "status": "ok", "metrics": measure(task.metrics, scored)}


def _declared(task: Task, facts: dict[str, Any]) -> None:
    for limit, have, what in (
        (task.max_train_rows, facts["n_train"], "training rows"),
        (task.max_features, facts["d"], "columns"),
    ):
        if limit is not None and have > limit:
            raise Unsupported(f"declared for at most {limit} {what}, the data set has {have}")


def _built(task: Task) -> Any:
    try:
        return build(task.path, task.params, task.seed if task.seeded else None)
    except ImportError as error:
        raise Unsupported(f"cannot be built: {type(error).__name__}: {error}") from error


def _takes_rows(detector: Any) -> bool:
    """Whether images must come as rows of pixels; a pipeline's tags do not tell what its first step takes."""
    first = detector[0] if isinstance(detector, Pipeline) else detector
    tags = getattr(first, "__sklearn_tags__", None)
    return tags is None or bool(tags().input_tags.two_d_array)


def _fit_and_score(detector: Any, prepared: Prepared) -> tuple[NDArray, dict[str, Any]]:
    """The clocked part: scores and figures. The detector sees training rows and test rows, nothing else."""
    train, test = prepared.train.copy(), None if prepared.test is None else prepared.test.copy()
    resident = reset_peak()
    cpu, start = time.process_time(), time.perf_counter()
    detector.fit(train)
    fitted = time.perf_counter()
    scores = in_sample_score(detector, train) if test is None else -np.asarray(detector.score_samples(test), np.float64)
    end = time.perf_counter()
    return scores, {
        "threshold": -float(getattr(detector, "offset_", np.nan)),
        "fit_s": fitted - start,
        "score_s": end - fitted,
        "cpu_s": time.process_time() - cpu,
        "peak_rss_mb": peak_mb(resident),
    }


def _leaks(detector: Any, prepared: Prepared, protocol: Protocol, scores: NDArray, seed: int) -> str:
    """What leaked, in words, or nothing. Series detectors look at neighbours in time by design and are not probed."""
    if prepared.test is None or prepared.ordered or prepared.test.ndim > 2:
        return ""
    found = []
    transform: Callable = lambda train, test: scale(train, test, protocol.scaler)  # noqa: E731
    if prepared.train.ndim == 2 and preprocessing_leak(transform, prepared.train, prepared.test):
        found.append(SEEN_TEST)
    if batch_leak(lambda rows: -np.asarray(detector.score_samples(rows)), prepared.test, scores, seed):
        found.append(BATCH_DEPENDENT)
    return "; ".join(found)


def _write(task: Task, values: NDArray, kind: str = "") -> tuple[str, str]:
    """An array, complete or not at all; returns its path below the run folder and the sha256."""
    buffer = io.BytesIO()
    np.save(buffer, values)
    data = buffer.getvalue()
    relative = f"scores/{task.cell_id[:2]}/{task.cell_id}{kind}.npy"
    target = Path(task.run_dir) / relative
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(target) as file:
            file.write(data)
    except OSError as error:
        raise _Unwritten(error) from error
    return relative, hashlib.sha256(data).hexdigest()
