"""What a child process does: one detector on one data set, under limits that it cannot lift.

It knows nothing of the parent but a pipe to answer through and a pipe whose end means that the parent is gone.
"""

import gc
import os
import time
import traceback
import warnings
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from odkit.bench.config import Protocol
from odkit.bench.contestants import build
from odkit.bench.limits import bind, end_offspring
from odkit.bench.measures import Scored, measure
from odkit.bench.memory import peak_mb, reset_peak
from odkit.bench.probes import Probe
from odkit.bench.protocol import Prepared, Unsupported, prepare, row_facts
from odkit.bench.score_files import Unwritten, write_maps, write_scores
from odkit.bench.stats import bootstrap_interval
from odkit.datasets import load

__all__ = ["DECLARED", "TAIL", "Task", "child", "in_sample_score", "log_path"]

TAIL = 4096  # bytes of a traceback or log that are kept
DECLARED = "Declared"  # error_type of a cell beyond what its configuration entry supports


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
    gpu: bool
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
    try:
        # appended to, so that the parent may cut it short
        log = os.open(log_path(task), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
        bind(timeout_s=task.timeout_s, memory_mb=task.memory_mb, threads=task.threads, gpu=task.gpu)
        result = _answer(task)
    except OSError as error:  # the disk, not the detector: _answer keeps what the detector raises
        result = {"unwritten": f"{type(error).__name__}: {error}"}
    end_offspring()
    answer.send(result)
    answer.close()
    os._exit(0)  # no interpreter teardown: a detector's leftovers must not turn a result into a crash


def log_path(task: Task) -> Path:
    """Where the child's standard output and error go."""
    return Path(task.run_dir) / "logs" / f"{task.cell_id[:16]}.log"


def _answer(task: Task) -> dict[str, Any]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        try:
            result = _run(task)
        except _Declared as reason:
            result = {**reason.facts, "status": "skipped", "error_type": DECLARED, "error_tail": str(reason)}
        except Unsupported as reason:
            result = {"status": "skipped", "error_type": "Unsupported", "error_tail": str(reason)}
        except MemoryError:
            result = {"status": "oom", "error_type": "MemoryError", "error_tail": _tail()}
        except Unwritten as error:
            raise error.reason from None
        except BaseException as error:  # whatever a detector raises is its result, SystemExit too
            result = {"status": "error", "error_type": type(error).__name__, "error_tail": _tail()}
    result["warnings"] = "\n".join(dict.fromkeys(f"{w.category.__name__}: {w.message}" for w in caught))[:TAIL]
    return result


class _Declared(Exception):
    """The data set is larger than the configuration says that the detector supports; `facts` say how large."""

    def __init__(self, reason: str, facts: dict[str, Any]):
        super().__init__(reason)
        self.facts = facts


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
    scores, figures, probe = _fit_and_score(detector, prepared)
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
    facts["leak"] = probe.findings(protocol, scores, task.seed)
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
    facts["score_path"], facts["score_sha"] = write_scores(task.run_dir, task.cell_id, scores)
    if maps is not None:
        write_maps(task.run_dir, facts["score_path"], maps)
    return {**facts, "status": "ok", "metrics": measure(task.metrics, scored)}


def _declared(task: Task, facts: dict[str, Any]) -> None:
    for limit, have, what in (
        (task.max_train_rows, facts["n_train"], "training rows"),
        (task.max_features, facts["d"], "columns"),
    ):
        if limit is not None and have > limit:
            raise _Declared(f"declared for at most {limit} {what}, the data set has {have}", facts)


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


def _fit_and_score(detector: Any, prepared: Prepared) -> tuple[NDArray, dict[str, Any], Probe]:
    """The clocked part: scores and figures. The detector sees training rows and test rows, nothing else."""
    train, test = prepared.train.copy(), None if prepared.test is None else prepared.test.copy()
    resident = reset_peak()
    with _Clock() as fit:
        detector.fit(train)
    probe = Probe(detector, prepared)
    with _Clock() as score:
        if test is None:
            scores = in_sample_score(detector, train)
        else:
            scores = -np.asarray(detector.score_samples(test), np.float64)
    figures = {
        "threshold": _threshold(detector),
        "fit_s": fit.wall,
        "score_s": score.wall,
        "cpu_s": fit.cpu + score.cpu,
        "peak_rss_mb": peak_mb(resident),
    }
    return scores, figures, probe


class _Clock:
    """Seconds of the block: `wall`, and `cpu` of all threads."""

    def __enter__(self) -> "_Clock":
        self.cpu, self.wall = time.process_time(), time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.cpu, self.wall = time.process_time() - self.cpu, time.perf_counter() - self.wall


def _threshold(detector: Any) -> float:
    """Minus `offset_`, which scikit-learn's one-class machines hold as an array of one number; NaN where there is no
    one number."""
    try:
        offset = np.asarray(getattr(detector, "offset_", np.nan), dtype=np.float64)
    except (TypeError, ValueError):
        return float("nan")
    return -float(offset.item()) if offset.size == 1 else float("nan")
