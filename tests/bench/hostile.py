"""Detectors that a harness must survive. Not a test module: the children import it by name."""

import inspect
import itertools
import os
import signal
import subprocess
import sys
import time
import warnings

import numpy as np
from sklearn.base import BaseEstimator


class Polite(BaseEstimator):
    """Distance from the training mean."""

    bench_version = 1

    def fit(self, X, y=None):
        self.mean_ = X.mean(axis=0)
        return self

    def score_samples(self, X):
        return -np.linalg.norm(X - self.mean_, axis=1)


class Slow(Polite):
    def __init__(self, seconds=0.2, random_state=None):
        self.seconds = seconds
        self.random_state = random_state

    def fit(self, X, y=None):
        time.sleep(self.seconds)
        return super().fit(X)


class LoopsInC(Polite):
    def fit(self, X, y=None):
        sum(itertools.repeat(0))  # no bytecode runs again: no signal handler, no other thread


class Allocates(Polite):
    def fit(self, X, y=None):
        self.block_ = np.ones(100 * 2**30 // 8)
        return self


class Swells(Polite):
    """Grows where the address space is not limited (a device is named), so that only resident memory tells."""

    def __init__(self, device="cuda"):
        self.device = device

    def fit(self, X, y=None):
        self.blocks_ = []
        while True:
            self.blocks_.append(np.ones(2**23))
            time.sleep(0.1)


class Aborts(Polite):
    def fit(self, X, y=None):
        os.abort()


class Leaves(Polite):
    def fit(self, X, y=None):
        os._exit(0)


class Raises(Polite):
    def fit(self, X, y=None):
        raise ZeroDivisionError("as planned")


class Exits(Polite):
    def fit(self, X, y=None):
        raise SystemExit(3)


class GivesNaN(Polite):
    def score_samples(self, X):
        return np.full(len(X), np.nan)


class GivesShort(Polite):
    def score_samples(self, X):
        return np.zeros(len(X) - 1)


class GivesConstant(Polite):
    def score_samples(self, X):
        return np.zeros(len(X))


class RanksTheBatch(Polite):
    def score_samples(self, X):
        return -np.argsort(np.argsort(X[:, 0])).astype(float)


class LooksForLabels(Polite):
    """Raises if anything but one table of numbers reaches it."""

    def fit(self, *args, **kwargs):
        if len(args) != 1 or kwargs or args[0].dtype != np.float64:
            raise AssertionError(f"saw {len(args)} arguments, {sorted(kwargs)}")
        return super().fit(args[0])

    def score_samples(self, *args, **kwargs):
        if len(args) != 1 or kwargs or len(inspect.signature(self.fit).parameters) != 2:
            raise AssertionError("saw more than rows")
        return super().score_samples(args[0])


class Unsure:
    """No detector at all."""

    def __init__(self):
        raise ImportError("a missing library of its own")


class Unlike:
    """A thing with no name of its own but its address."""


class OddDefaults(Polite):
    def __init__(self, metric=np.linalg.norm, key=lambda x: x, cap=np.inf, mark=Unlike()):  # noqa: B008
        self.metric = metric
        self.key = key
        self.cap = cap
        self.mark = mark


class SpeaksLatin1(Polite):
    """The name of a file of another encoding, as `os.listdir` gives it."""

    def __init__(self, aloud=True):
        self.aloud = aloud

    def fit(self, X, y=None):
        if self.aloud:
            raise ValueError("caf\udce9.csv")
        warnings.warn("caf\udce9.csv", stacklevel=1)
        return super().fit(X)


class OffsetInABox(Polite):
    """As scikit-learn's one-class machines leave it."""

    def fit(self, X, y=None):
        super().fit(X)
        self.offset_ = np.array([-4.0])
        return self


class OffsetIsNone(Polite):
    def fit(self, X, y=None):
        self.offset_ = None
        return super().fit(X)


class RefusesFarRows(Polite):
    def fit(self, X, y=None):
        self.highest_ = 2 * X.max(axis=0) + 1
        return super().fit(X)

    def score_samples(self, X):
        if (self.highest_ < X).any():
            raise ValueError("a row outside the range")
        return super().score_samples(X)


class Remembers(Polite):
    """Takes what it has scored into its mean."""

    def score_samples(self, X):
        found = super().score_samples(X)
        if len(X) > 40:
            self.mean_ = self.mean_ + 1
        return found


class Huge(Polite):
    def score_samples(self, X):
        return super().score_samples(X) * 1e300


class Talks(Polite):
    """300 MB of output, and an end that is worth reading."""

    def fit(self, X, y=None):
        for _ in range(300):
            sys.stdout.write("x" * 10**6)
            sys.stdout.flush()
            time.sleep(0.01)
        print("the last words", flush=True)
        os.abort()


class LeavesASleeper(Polite):
    def fit(self, X, y=None):
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(54321)"], start_new_session=True)
        return super().fit(X)


class EndsTheServer(Polite):
    def fit(self, X, y=None):
        time.sleep(0.5)
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)
