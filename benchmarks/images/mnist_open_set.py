"""Open set on MNIST: six digits known, four unknown, a small network trained on the known ones.

    python -m benchmarks.images.mnist_open_set [--seeds 3] [--epochs 8]

Per seed s: known = default_rng(s).permutation(10)[:6]; 60 % of the known images train the network, the other 40 % and
all unknown images are the test. The detectors are fitted on the latents of the training images; "step" is the share of
the range of the pixels that the images go towards their class before they are scored.
"""

import argparse
import warnings

import numpy as np
import torch
from scipy.special import logsumexp, softmax
from sklearn.metrics import roc_auc_score
from torch import nn

from benchmarks.timing import machine
from odkit import ClassConditionalGaussian, FeaturePyramid, LatentGMM
from odkit.datasets import load


def network(n_classes: int) -> nn.Sequential:
    def block(a: int, b: int) -> list:
        return [nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]

    layers = [*block(1, 16), nn.MaxPool2d(2), *block(16, 32), nn.MaxPool2d(2), *block(32, 64)]
    return nn.Sequential(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()), nn.Linear(64, n_classes))


def trained(X: torch.Tensor, y: torch.Tensor, seed: int, epochs: int) -> nn.Sequential:
    torch.manual_seed(seed)
    net = network(int(y.max()) + 1)
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        for rows in torch.randperm(len(X), generator=generator).split(128):
            loss = nn.functional.cross_entropy(net(X[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return net.eval()


def one_seed(X: torch.Tensor, digits: np.ndarray, seed: int, epochs: int) -> dict:
    known = np.random.default_rng(seed).permutation(10)[:6]
    order = np.random.default_rng(seed).permutation(np.flatnonzero(np.isin(digits, known)))
    n_train = round(0.6 * len(order))
    train, rest = order[:n_train], order[n_train:]
    test = np.concatenate([rest, np.flatnonzero(~np.isin(digits, known))])
    novel = np.arange(len(test)) >= len(rest)
    classes, numbers = np.unique(digits[train], return_inverse=True)
    net = trained(X[train], torch.from_numpy(numbers), seed, epochs)
    with torch.no_grad():
        latents = torch.cat([net[0](part) for part in X.split(500)])
        logits = net[1](latents).numpy()
    latents = latents.numpy().astype(np.float64)
    scores = {
        "max softmax": -softmax(logits[test], axis=1).max(axis=1),
        "energy": -logsumexp(logits[test], axis=1),
    }
    detectors = {
        "one Gaussian": ClassConditionalGaussian(),
        "tied": ClassConditionalGaussian(),
        "per class": ClassConditionalGaussian(covariance="class"),
        "relative": ClassConditionalGaussian(covariance="relative"),
        "LatentGMM per class": LatentGMM(),
        "LatentGMM EM 6": LatentGMM(components=6),
        "LatentGMM EM 12": LatentGMM(components=12),
    }
    for name, detector in detectors.items():
        detector.set_params(random_state=seed, calibration_fraction=0.05)
        detector.fit(latents[train], None if name == "one Gaussian" else digits[train])
        scores[name] = -detector.score_samples(latents[test])
    for cells in (1, 2):
        levels = (
            FeaturePyramid(net, ["0.2", "0.6", "0.10"], cells=cells, output="matrix").transform(X).astype(np.float64)
        )
        for name, detector in {
            "per class": ClassConditionalGaussian(covariance="class"),
            "LatentGMM": LatentGMM(),
        }.items():
            detector.set_params(random_state=seed, calibration_fraction=0.05).fit(levels[train], digits[train])
            scores[f"{name}, three levels, {cells} x {cells} cells"] = -detector.score_samples(levels[test])
    pyramid = FeaturePyramid(net, ["0"])
    for step in (0.002, 0.01):
        detector = ClassConditionalGaussian(pyramid, input_step=step, random_state=seed, calibration_fraction=0.05)
        detector.fit(X[train], digits[train])
        scores[f"tied, step {step:g}"] = -detector.score_samples(X[test])
    correct = classes[logits[rest].argmax(axis=1)] == digits[rest]
    # the promise: a threshold from known images that the network has not seen, against one from those it has seen
    half = np.random.default_rng(seed).permutation(len(rest))
    fresh, judged = rest[half[: len(half) // 2]], rest[half[len(half) // 2 :]]
    gmm = detectors["LatentGMM per class"]
    held_out, own = (np.percentile(gmm.score_samples(latents[rows]), 5) for rows in (fresh, train))
    known_scores = gmm.score_samples(latents[judged])
    return {
        **{name: 100 * roc_auc_score(novel, score) for name, score in scores.items()},
        "closed-set accuracy": 100 * correct.mean(),
        "rejected known, fresh threshold at 5 %": 100 * (known_scores < held_out).mean(),
        "rejected known, training threshold at 5 %": 100 * (known_scores < own).mean(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=8)
    options = parser.parse_args()
    n_seeds = options.seeds
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    print(machine())
    print(f"seeds 0..{n_seeds - 1}; AUROC of unknown digits in %, mean +- standard deviation\n")
    data = load("image/mnist")
    X = torch.from_numpy(data.X.astype(np.float32) / 255)[:, None]
    digits = data.classes.astype(int)
    results = [one_seed(X, digits, seed, options.epochs) for seed in range(n_seeds)]
    for name in results[0]:
        values = [result[name] for result in results]
        print(f"{name:42} {np.mean(values):6.1f} +- {np.std(values):4.1f}")
    for name in ("per class", "LatentGMM per class", "LatentGMM, three levels, 2 x 2 cells"):
        gain = np.mean([result[name] - result["max softmax"] for result in results])
        print(f"{name} above max softmax: {gain:.1f} points")


if __name__ == "__main__":
    main()
