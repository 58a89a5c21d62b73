"""Slow oracles: the plain formula of every kernel, one loop per index. They are the specification."""

from fractions import Fraction

import numpy as np

# --- neighbors and KNN


def neighbor_distances(X, rows, k):
    """For each x: the k smallest Euclidean distances to rows, one row equal to x left out, and the rows' indices."""
    distances, indices = [], []
    for x in np.asarray(X, dtype=float):
        pairs = [
            (float(np.sqrt(sum((a - b) ** 2 for a, b in zip(x, row, strict=True)))), i) for i, row in enumerate(rows)
        ]
        copies = [i for _, i in pairs if all(a == b for a, b in zip(x, rows[i], strict=True))]
        pairs = sorted(pair for pair in pairs if pair[1] != min(copies, default=-1))[:k]
        distances.append([distance for distance, _ in pairs])
        indices.append([i for _, i in pairs])
    return np.array(distances), np.array(indices)


def distance_parts(X, rows, k):
    """Per feature: mean over the k neighbours y of (x_j - y_j)^2 / |x - y|, 0 for a neighbour at distance 0."""
    distances, indices = neighbor_distances(X, rows, k)
    parts = np.zeros(np.shape(X))
    for i, x in enumerate(np.asarray(X, dtype=float)):
        for distance, neighbor in zip(distances[i], indices[i], strict=True):
            for j in range(len(x)):
                if distance > 0:
                    parts[i, j] += (x[j] - rows[neighbor][j]) ** 2 / distance / k
    return parts


# --- ecdf and ECOD


def tail_costs(train, x, cap):
    """Left and right cost of one value x against one training column; missing training values are left out."""
    train = [v for v in np.asarray(train, dtype=float).tolist() if v == v]
    n = len(train)
    if n == 0:
        return 0.0, 0.0
    left = np.log(n / max(1, sum(v <= x for v in train)))
    right = np.log(n / max(1, sum(v >= x for v in train)))
    ordered, k = sorted(train), min(max(5, int(n**0.5)), n - 1, 1023)

    def excess(beyond, gaps):
        scale = sum(gaps) / k if k else 0.0
        return cap if scale == 0 else min(beyond / scale, cap)

    if cap and x > ordered[-1]:
        right += excess(x - ordered[-1], [v - ordered[n - k - 1] for v in ordered[n - k :]])
    if cap and x < ordered[0]:
        left += excess(ordered[0] - x, [ordered[k] - v for v in ordered[:k]])
    return left, right


def third_moment_sign(column):
    column = [Fraction(v) for v in np.asarray(column, dtype=float).tolist() if v == v]
    if not column:
        return 0
    mean = sum(column) / len(column)
    third = sum((v - mean) ** 3 for v in column)
    return (third > 0) - (third < 0)


def ecod_anomaly(train, X, aggregation="feature_max", cap=50.0):
    """Anomaly score of every row of X; a missing cell costs the mean cost of the feature's training values."""
    train, X = np.asarray(train, dtype=float), np.asarray(X, dtype=float)
    scores = []
    for x in X:
        terms = []
        for j in range(train.shape[1]):
            side = third_moment_sign(train[:, j])
            pairs = [tail_costs(train[:, j], v, cap) for v in (train[:, j] if np.isnan(x[j]) else [x[j]]) if v == v]
            rows = [(lo, up, lo if side < 0 else up, max(lo, up)) for lo, up in pairs] or [(0.0, 0.0, 0.0, 0.0)]
            terms.append(np.mean(rows, axis=0))
        left, right, auto, largest = np.sum(terms, axis=0)
        scores.append(largest if aggregation == "feature_max" else max(left, right, auto))
    return np.array(scores)
