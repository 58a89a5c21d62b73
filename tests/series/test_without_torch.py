"""HypAD where torch is not installed: an error that names the extra, and no half-made model."""

import sys

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from odkit import HypAD


def test_the_error_names_the_extra(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "torch" or name.startswith("odkit.nets")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)  # as where it is missing
    detector = HypAD(window=20)
    with pytest.raises(ImportError, match=r"HypAD needs torch, which is missing: pip install 'odkit\[torch\]'"):
        detector.fit(np.sin(np.arange(200) / 5))
    with pytest.raises(NotFittedError):
        detector.score_samples(np.zeros(200))
