"""Run as a module: models with stored arrays of wrong sizes and wild values, loaded and scored.

The archives are valid and their digests fit: only `_check_state` stands between the arrays and compiled kernels.
Whatever is raised is fine; a process that dies is not. The last line printed names what killed it.
"""

import contextlib
import tempfile
import warnings
from pathlib import Path

import numba  # noqa: F401  the compiled kernels are what may run off an array's end
import numpy as np
from sklearn.pipeline import make_pipeline

import odkit
from odkit import model_file
from odkit.model_file import archive

MODELS = [
    odkit.ECOD(aggregation="paper"),
    odkit.ECOD(compression=0.1),
    odkit.KNN(),
    odkit.GMM(2),
    odkit.Mahalanobis(),
    odkit.MeanShift(),
    odkit.Conformal(odkit.ECOD(), alpha=0.2),
    make_pipeline(odkit.TailOdds(), odkit.KNN()),
    odkit.MovingEnergy(window=10),
    odkit.Autoregression(order=3),
    odkit.PolynomialResidual(window=10),
    odkit.Discord(window=10),
    odkit.Discord(window=10, reference="train"),
    odkit.CorrelatedVote(order=2, memory=5, corr_window=4, rho=0.0),
    odkit.LevelMahalanobis(widths=(1, 1), fpr=0.1),
    odkit.LatentGMM(fpr=0.1, random_state=0),
    odkit.LatentGMM(components=2, fpr=0.1, random_state=0),
    odkit.ClassConditionalGaussian(fpr=0.1, random_state=0),
    odkit.PatchGaussian(fpr=0.1),
]


def variants(array):
    yield array[:0] if array.ndim else array[None]
    if array.ndim:
        yield from (array[:1], array[:-1], np.concatenate([array, array]), array[None])
    if array.ndim == 2:
        yield from (array.T, array.ravel(), array[:, :1])
    if array.dtype.kind in "iu":
        top = np.iinfo(array.dtype).max
        yield from (np.full_like(array, value) for value in (min(10**9, top), 7, top // 2))
        yield from (np.full_like(array, value) for value in (-1, -(10**6)) if array.dtype.kind == "i")
        yield array.astype(np.float64)
    if array.dtype.kind == "f":
        yield from (np.full_like(array, value) for value in (np.nan, 1e308))
        yield np.zeros(array.shape, np.int64)


def main(path):
    rows = np.random.default_rng(0).normal(size=(80, 2)).round(1)
    for model in MODELS:
        X = [rows.reshape(20, 2, 2, 2)] if isinstance(model, odkit.PatchGaussian) else rows
        model_file.save(model.fit(X), path)
        with archive.Archive(path, 1 << 30) as stored:
            meta = {key: value for key, value in stored.meta.items() if key != "arrays"}
            arrays = {member: stored.array(member) for member in stored.meta["arrays"]}
        for member, array in arrays.items():
            for number, wrong in enumerate(variants(array)):
                archive.write(path, meta, {**arrays, member: np.array(wrong, order="C")})
                print(model, member, number, flush=True)
                with contextlib.suppress(Exception):
                    loaded = model_file.load(path)
                    for method in ("score_samples", "explain", "expected"):
                        with contextlib.suppress(Exception):
                            getattr(loaded, method)(X)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        main(Path(folder) / "wild.odkit")
