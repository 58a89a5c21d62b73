"""p-values for the rows of files, and the rows to flag so that few of the flagged are false alarms.

Both compare with rows known to be ordinary: a reference file, or the files of `odkit fit --p-values`. A file cannot be
its own reference: ranked with each other its n rows have the p-values 1/n, 2/n, ..., and the outliers among them hide
behind each other, so that no false discovery rate below 1 ever flags one (docs/decisions/111).
"""

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from odkit.decide.conformal import Conformal
from odkit.decide.fdr import benjamini_hochberg
from odkit.scores import last_step
from odkit.series.base import is_series

__all__ = ["Significance", "calibrated"]

ALPHA = 0.05


@dataclass(frozen=True)
class Significance:
    """What is asked about the significance of scores.

    Attributes
    ----------
    p_values : whether the result must have p-values; it has them anyway where the detector does
    fdr : largest expected share of false alarms among the flagged rows; None: the detector's own threshold flags
    """

    p_values: bool = False
    fdr: float | None = None

    def __post_init__(self) -> None:
        if self.fdr is not None and not 0 < self.fdr < 1:
            raise ValueError(f"--fdr {self.fdr:g}: a share between 0 and 1 is needed, as in --fdr 0.05")

    def check(self, detector: Any, *, fitted: bool) -> None:
        """Raise ValueError, before any row is read, where the question has no answer."""
        if hasattr(detector, "p_values") or not (self.p_values or self.fdr is not None):
            return
        if fitted:
            raise ValueError(
                "the model has no p-values, which --p-values and --fdr need; fit it again with odkit fit --p-values"
            )
        _refuse_series(detector)
        raise ValueError(
            "--p-values and --fdr compare with rows known to be ordinary, and a file with outliers in it cannot be its "
            "own reference: give ordinary rows with --reference FILE, or a --model that odkit fit --p-values has made "
            "of such rows"
        )

    def apply(self, frame: pd.DataFrame, detector: Any) -> list[str]:
        """Flag the rows of a scored frame, in place, by the false discovery rate where one is asked for; notes."""
        if self.fdr is None:
            return []
        frame["is_outlier"] = benjamini_hochberg(frame["p_value"], self.fdr)
        n_calibration = detector.calibration_.scores.size
        fewest = math.ceil(len(frame) / ((n_calibration + 1) * self.fdr))
        if frame["is_outlier"].any() or fewest == 1:
            return []
        return [
            f"{n_calibration:,} calibration rows give p-values of {1 / (n_calibration + 1):.2g} at the least, so among "
            f"{len(frame):,} rows fewer than {fewest:,} outliers cannot be flagged at --fdr {self.fdr:g}; more "
            "reference rows can mend that"
        ]


def calibrated(detector: Any, contamination: str | float | None = None, fdr: float | None = None) -> Conformal:
    """The detector with p-values: fitted on 70 % of the rows and calibrated on the others, drawn with a fixed seed.

    Flags p-values up to `fdr`, else up to the contamination, else up to 0.05; too few rows for that are an error of
    `fit`.
    """
    _refuse_series(detector)
    if isinstance(contamination, str):
        raise ValueError("--contamination auto: p-values need a share, such as 0.01, of ordinary rows to flag")
    return Conformal(detector, alpha=fdr or contamination or ALPHA, random_state=0)


def _refuse_series(detector: Any) -> None:
    if is_series(detector):
        raise ValueError(
            f"{type(last_step(detector)).__name__} scores steps of a series, which are not exchangeable: there are no "
            "p-values for them; leave --p-values, --fdr and --reference out"
        )
