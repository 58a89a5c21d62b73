"""The instances that every contract test runs over. A newcomer adds itself here and gets the whole contract."""

import odkit

DETECTORS = [
    odkit.Consensus(random_state=0),
    odkit.Consensus([("ecod", odkit.ECOD()), ("knn", odkit.KNN(2))], combine="mean", weights="hits"),
    odkit.ECOD(),
    odkit.ECOD(aggregation="paper", tail=None),
    odkit.ECOD(nan_policy="neutral", n_jobs=2),
    odkit.ECOD(compression=0.02),
    odkit.GMM(),
    odkit.GMM("auto", covariance_type="diag", reg_covar=1e-3, random_state=1),
    odkit.GMM("auto", covariance_type="tied", reg_covar=1e-3, n_init=2, n_jobs=2, random_state=0),
    odkit.KNN(),
    odkit.KNN(3, aggregation="mean", algorithm="brute"),
    odkit.KNN(4, aggregation="median", metric="manhattan", n_jobs=2),
    odkit.LevelMahalanobis(fpr=0.05),
    odkit.Mahalanobis(fpr=0.05),  # 60 rows are too few for the default 1 %, and it says so
    odkit.Mahalanobis(shrinkage="diag", contamination=0.1),
    odkit.Mahalanobis(robust=("mcd", 0.1), contamination=0.1),
    odkit.Mahalanobis(shrinkage="oas", threshold="prequential", fpr=0.1),
    odkit.Mahalanobis(subspace=("npca", 0.6), threshold="gamma"),
    odkit.Mahalanobis(shrinkage=("ridge", 0.01), threshold="split", fpr=0.1, random_state=0),
    odkit.AutoEncoder(max_steps=40, n_members=2, batch_size=64, random_state=0),
    odkit.AutoEncoder(error="mse", max_steps=40, n_members=1, early_stopping=True, check_every=40, random_state=0),
    odkit.AutoEncoder(error="pre", hidden=(3,), max_steps=40, n_members=2, min_variance=0.01, scaling="robust"),
    odkit.MeanShift(),
    odkit.MeanShift(n_neighbors=5, n_passes=2, statistic="medoid", scaling=None, n_jobs=2),
    odkit.MeanShiftScoring(odkit.AutoEncoder(max_steps=40, n_members=2, random_state=0), n_passes=1),
    odkit.MeanShiftScoring(odkit.PCAReconstruction(0.7), n_neighbors=10),
    odkit.PCAReconstruction(),
    odkit.PCAReconstruction(1, scaling="robust"),
]

FEW = {"epochs": 1, "batch_size": 256, "n_critic": 1}  # steps of training: the contract is not about quality

# one score per time step, each depends on its neighbours in time: tests/series/test_contract_series.py
SERIES = [
    odkit.MovingEnergy(window=5, contamination=0.1),
    odkit.MovingEnergy(window=3, placement="causal", clip=3.0, contamination=0.1),
    odkit.Autoregression(order=4, contamination=0.1),
    odkit.Autoregression(order=2, span=3, contamination=0.1),
    odkit.PolynomialResidual(window=4, contamination=0.1),
    odkit.PolynomialResidual(window=3, degree=1, neighbourhood=4, contamination=0.1),
    odkit.Discord(window=10, contamination=0.1),
    odkit.Discord(window=10, reference="train", contamination=0.1, n_jobs=2),
    odkit.HypAD(window=8, latent=3, head_dim=4, combination="rec", contamination=0.1, random_state=0, **FEW),
    odkit.HypAD(window=6, task="forecast", backbone="mlp", latent=3, contamination=0.1, random_state=0, **FEW),
    odkit.CorrelatedVote(order=2, memory=5, corr_window=4, rho=0.0, contamination=0.1),
    odkit.Windowed(odkit.ECOD(), window=3, contamination=0.1),
    odkit.Windowed(odkit.ECOD(), window=4, stride=3, how="max", max_windows=60, random_state=0, contamination=0.1),
    odkit.SeriesConsensus(detectors=[odkit.MovingEnergy(window=5), odkit.Autoregression(order=4)], contamination=0.1),
    odkit.SeriesConsensus(
        detectors=[odkit.PolynomialResidual(window=4), odkit.Discord(window=10)], how="rank", contamination=0.1
    ),
]


def name(detector) -> str:
    """A short test id: the class and the parameters that differ from the defaults."""
    return repr(detector).replace(" ", "").replace("\n", "")
