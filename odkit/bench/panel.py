"""One metric as a matrix: data sets x detectors, and the family means that every statistic is computed on."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from odkit.bench import stats

__all__ = ["Panel"]


@dataclass(frozen=True)
class Panel:
    """One metric under one protocol: `values` is data sets x detectors (seeds averaged), NaN = failed or missing.

    `blocks` are the family means that every statistic is computed on; a detector that failed on one set of a family
    has failed on the family.
    """

    metric: str
    values: pd.DataFrame
    family: pd.Series
    seed_sd: pd.Series

    @cached_property
    def blocks(self) -> pd.DataFrame:
        return stats.family_means(self.values, self.family)

    @cached_property
    def complete(self) -> pd.DataFrame:
        """Families that every detector finished which finished any: a broken one must not empty the table."""
        return self.blocks.dropna(axis="columns", how="all").dropna()

    @cached_property
    def ranks(self) -> pd.Series:
        return pd.Series(stats.average_ranks(self.blocks.to_numpy()), index=self.blocks.columns, name="rank")

    @cached_property
    def complete_ranks(self) -> pd.Series:
        """NaN where there is no complete family, and for who finished none."""
        if self.complete.empty:
            return pd.Series(np.nan, index=self.blocks.columns)
        ranks = pd.Series(stats.average_ranks(self.complete.to_numpy()), index=self.complete.columns)
        return ranks.reindex(self.blocks.columns)
