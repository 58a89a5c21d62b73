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


def name(detector) -> str:
    """A short test id: the class and the parameters that differ from the defaults."""
    return repr(detector).replace(" ", "").replace("\n", "")
