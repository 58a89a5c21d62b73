"""Figures of the specification through the whole harness: plan, process, protocol, adapter, ledger, tables."""

import pytest

from odkit.bench.config import Config
from odkit.bench.run import run
from odkit.bench.tables import read_results

# golden: ecod.md section 5 (roc_auc, ap), raw float64, fit = score
ECOD = {
    "adbench/42_WBC": (0.9948, 0.9038),
    "adbench/45_wine": (0.7328, 0.1907),
    "adbench/15_Hepatitis": (0.7394, 0.2924),
}
PAPER = {
    "adbench/42_WBC": (0.9948, 0.9038),
    "adbench/45_wine": (0.8832, 0.3903),
    "adbench/15_Hepatitis": (0.8037, 0.4194),
}
# golden: series.md section 5, bins of 600 s, window 100 (vus_pr, vus_roc)
JUMPSUP = {"odkit.MovingEnergy": (0.816348, 0.911707), "odkit.Autoregression": (0.416649, 0.727914)}


@pytest.mark.data
def test_tabular_anchors(tmp_path, data_home):
    config = Config.model_validate(
        {"datasets": list(ECOD), "protocol": {"mode": "in_sample"}, "metrics": ["roc_auc", "ap"],
         "detectors": [{"id": "odkit.ECOD"}, {"id": "paper", "class": "odkit.ECOD", "params": {"aggregation": "paper"}},
                       {"id": "pyod.ECOD", "class": "pyod.models.ecod.ECOD"}]}
    )  # fmt: skip
    cells = _cells(config, tmp_path, data_home)
    for wanted, detector in ((ECOD, "odkit.ECOD"), (PAPER, "paper"), (ECOD, "pyod.ECOD")):
        for name, (roc, ap) in wanted.items():
            assert cells.loc[(name, detector), "roc_auc"] == pytest.approx(roc, abs=5e-4)
            assert cells.loc[(name, detector), "ap"] == pytest.approx(ap, abs=5e-4)


@pytest.mark.data
def test_series_anchors(tmp_path, data_home):
    config = Config.model_validate(
        {"datasets": ["nab/artificialWithAnomaly/art_daily_jumpsup", "nab/artificialNoAnomaly/art_flatline"],
         "protocol": {"mode": "in_sample", "bin_s": 600}, "metrics": ["vus_pr", "vus_roc", "event_f1_fixed"],
         "detectors": [{"id": name} for name in JUMPSUP]}
    )  # fmt: skip
    cells = _cells(config, tmp_path, data_home)
    for name, (pr, roc) in JUMPSUP.items():
        cell = cells.loc[("nab/artificialWithAnomaly/art_daily_jumpsup", name)]
        assert (cell["vus_pr"], cell["vus_roc"]) == pytest.approx((pr, roc), abs=1e-5)
        assert cell["event_f1_fixed"] == 1.0
    flat = cells.loc["nab/artificialNoAnomaly/art_flatline"]
    assert set(flat["status"]) == {"ok"}  # no event: nothing to rank, but false alarms to count
    assert flat["vus_pr"].isna().all()
    assert (flat["event_f1_fixed.fp"] == 0).all()


def _cells(config, run_dir, data_home):
    run(config, config.model_dump_json(by_alias=True), run_dir, jobs=2, data_home=str(data_home))
    return read_results(run_dir).cells.set_index(["dataset", "detector"]).sort_index()
