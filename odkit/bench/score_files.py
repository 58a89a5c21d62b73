"""Scores and maps of a cell as files: whole or not there, known by their hash."""

import hashlib
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from odkit.atomic import whole_file

__all__ = ["Unwritten", "beside", "write_maps", "write_scores"]


class Unwritten(Exception):
    """The scores could not be written; `reason` is the OSError. No detector's fault: the run stops."""

    def __init__(self, reason: OSError):
        self.reason = reason


def write_scores(run_dir: str | Path, cell_id: str, scores: NDArray) -> tuple[str, str]:
    """In single precision where that holds them; returns the path below the run folder and the sha256."""
    with np.errstate(over="ignore"):
        single = scores.astype(np.float32)
    values = single if np.isfinite(single).all() else scores
    relative = f"scores/{cell_id[:2]}/{cell_id}.npy"
    return relative, _write(Path(run_dir) / relative, values)


def write_maps(run_dir: str | Path, score_path: str, maps: NDArray) -> None:
    """Maps of anomaly beside the scores, in half precision."""
    _write(beside(Path(run_dir) / score_path), maps.astype(np.float16))


def beside(scores: Path) -> Path:
    """Where the maps that belong to a file of scores are, if there are any."""
    return scores.with_suffix(".maps.npy")


def _write(target: Path, values: NDArray) -> str:
    buffer = io.BytesIO()
    np.save(buffer, values)
    data = buffer.getvalue()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(target) as file:
            file.write(data)
    except OSError as error:
        raise Unwritten(error) from error
    return hashlib.sha256(data).hexdigest()
