"""The instances that every contract test runs over. A newcomer adds itself here and gets the whole contract."""

import odkit

DETECTORS = [
    odkit.ECOD(),
    odkit.ECOD(aggregation="paper", tail=None),
    odkit.ECOD(nan_policy="neutral", n_jobs=2),
    odkit.KNN(),
    odkit.KNN(3, aggregation="mean", algorithm="brute"),
    odkit.KNN(4, aggregation="median", metric="manhattan", n_jobs=2),
]

# one score per time step, each depends on its neighbours in time: tests/series/test_contract_series.py
SERIES = [
    odkit.MovingEnergy(window=5, contamination=0.1),
    odkit.MovingEnergy(window=3, placement="causal", clip=3.0, contamination=0.1),
    odkit.Autoregression(order=4, contamination=0.1),
    odkit.Autoregression(order=2, span=3, contamination=0.1),
]


def name(detector) -> str:
    """A short test id: the class and the parameters that differ from the defaults."""
    return repr(detector).replace(" ", "").replace("\n", "")
