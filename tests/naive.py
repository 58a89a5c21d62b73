"""Slow oracles: the plain formula of every kernel, one loop per index. They are the specification."""

import itertools
from fractions import Fraction
from itertools import pairwise

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


# --- series: windows and detectors


def moving_energy(x, mean, scale, window, clip=None):
    """Mean square of (x - mean) / scale in every window, channel by channel."""
    out = []
    for i in range(len(x) - window + 1):
        row = []
        for c in range(len(mean)):
            z = [(x[t][c] - mean[c]) / scale[c] for t in range(i, i + window)]
            z = z if clip is None else [min(max(v, -clip), clip) for v in z]
            row.append(sum(v * v for v in z) / window)
        out.append(row)
    return np.array(out)


def unroll(values, starts, n, window, how):
    """At each step the mean, median or maximum over the windows that cover it."""
    reduce = {"mean": np.mean, "median": np.median, "max": np.max}[how]
    out = []
    for t in range(n):
        covering = [i for i, s in enumerate(starts) if s <= t < s + window]
        out.append(reduce([values[i] if np.ndim(values) == 1 else values[i][t - starts[i]] for i in covering]))
    return np.array(out)


def autoregression(x, order, ridge, floor=1e-3):
    """Coefficients from the regression matrix, intercept penalised, and the absolute residuals."""
    phi = np.array([[1.0, *x[t - order : t]] for t in range(order, len(x))])
    y = np.array(x[order:])
    penalty = ridge * len(y) * max(y.var(), floor) * np.eye(order + 1)
    coef = np.linalg.solve(phi.T @ phi + penalty, phi.T @ y)
    return coef, np.abs(y - phi @ coef)


def polynomial_residual(x, window, degree, neighbourhood):
    """One channel: root mean square error of each block under the polynomial of its surroundings."""
    n = len(x)
    m = min(neighbourhood * window, n)
    out = np.empty(n)
    for s in range(0, n, window):
        block = range(s, min(s + window, n))
        a = min(max(s + window // 2 - m // 2, 0), n - m)
        around = [t for t in range(a, a + m) if t not in block]
        u = [(t - (a + m / 2)) / (m / 2) for t in range(a, a + m)]
        power = np.polynomial.Polynomial.fit([u[t - a] for t in around], [x[t] for t in around], degree, domain=[-1, 1])
        out[s : s + window] = np.sqrt(np.mean([(x[t] - power(u[t - a])) ** 2 for t in block]))
    return out


def matrix_profile(x, window, reference=None):
    """Smallest z-normalised distance of every window to a window of the reference, or of x outside the zone."""
    other, zone = (x, -(-window // 4)) if reference is None else (reference, -1)
    ours, theirs = _normalised(x, window), _normalised(other, window)
    profile = []
    for i, a in enumerate(ours):
        distances = [_normal_distance(a, b, window) for j, b in enumerate(theirs) if abs(i - j) > zone]
        profile.append(min(distances, default=np.inf))
    finite = [p for p in profile if p < np.inf]
    return np.array([p if p < np.inf else max(finite, default=0.0) for p in profile])


def _normalised(x, window):
    windows = [np.asarray(x[i : i + window]) for i in range(len(x) - window + 1)]
    return [None if (w == w[0]).all() else (w - w.mean()) / w.std() for w in windows]


def _normal_distance(a, b, window):
    if a is None or b is None:
        return 0.0 if a is b else window**0.5
    difference = a - b
    return (difference @ difference) ** 0.5


def threshold_cost(values, cut):
    """The cost of a cut; inf where it marks nothing or everything."""
    marked = [v > cut for v in values]
    rest = [v for v in values if v <= cut]
    if not any(marked) or not rest:
        return np.inf
    runs = sum(m and not before for m, before in zip(marked, [False, *marked], strict=False))
    mean, sd = np.mean(values), np.std(values)
    gain = (mean - np.mean(rest)) / mean + (sd - np.std(rest)) / sd
    return -gain / (sum(marked) + runs**2)


def exact_threshold_cost(values, z_min):
    """Lowest cost over all cuts at values of the series and at the floor; inf where no value lies above the floor."""
    floor = np.mean(values) + z_min * np.std(values)
    return min(threshold_cost(values, cut) for cut in [floor, *(v for v in values if v >= floor)])


def correlated_vote(X, order, forgetting, memory, smooth, window, rho, share, level):
    """CorrelatedVote by its definition: every median, mean and correlation computed afresh at every step."""
    n, width = X.shape
    theta, P = np.zeros((width, order)), [100.0 * np.eye(order) for _ in range(width)]
    relative, levels, parts, alarms = [], [], np.zeros((n, width)), np.zeros(n, bool)
    for t in range(n):
        now = np.zeros(width)
        for c in range(width):
            if t >= order:
                phi = X[t - order : t, c]
                gain = P[c] @ phi / (forgetting + phi @ P[c] @ phi)
                error = X[t, c] - theta[c] @ phi
                theta[c] = theta[c] + gain * error
                P[c] = P[c] - np.outer(gain, P[c] @ phi)
                if np.trace(P[c]) < 1e6 * order:
                    P[c] = P[c] / forgetting
                scale = abs(X[t, c]) + np.median(np.abs(X[max(t - memory, 0) : t, c]))
                now[c] = abs(error) / scale if scale > 0 else 0.0
        relative.append(now)
        levels.append(np.mean(relative[-smooth:], axis=0))
        if t < memory or t < window - 1:
            continue
        past = np.array(levels[-memory - 1 : -1])
        z = (levels[-1] - past.mean(axis=0)) / np.maximum(past.std(axis=0), 1e-3)
        rows = X[t - window + 1 : t + 1]
        best = 0.0
        for c in range(width):
            group = [d for d in range(width) if d == c or _correlated(rows[:, c], rows[:, d], rho)]
            if len(group) < 2:
                continue
            positive = np.maximum(z[group], 0)
            alarms[t] |= np.sum(z[group] > level) > share * len(group)
            if positive.mean() > best:
                best = positive.mean()
                parts[t] = 0
                parts[t, group] = positive / len(group)
    return parts, alarms


def _correlated(a, b, rho):
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return False
    return abs(np.corrcoef(a, b)[0, 1]) >= rho


# --- series: metrics


def overlap_confusion(true, found):
    """Loops over pairs of half-open intervals."""
    tp = sum(any(a < d and c < b for c, d in found) for a, b in true)
    return tp, sum(not any(a < d and c < b for a, b in true) for c, d in found), len(true) - tp


def range_reward(rows, columns, alpha):
    """Mean over runs of `rows` of existence, overlap and cardinality, counted step by step."""
    rewards = []
    for run in _runs(rows):
        touching = [other for other in _runs(columns) if set(run) & set(other)]
        covered = sum(t in other for t in run for other in touching) / len(run)
        rewards.append(alpha * bool(touching) + (1 - alpha) * covered / max(len(touching), 1))
    return float(np.mean(rewards))


def _runs(mask):
    runs, current = [], []
    for t, inside in enumerate([*mask, False]):
        if inside:
            current.append(t)
        elif current:
            runs.append(current)
            current = []
    return runs


def vus(truth, score, longest, n_thresholds):
    """Loops over border lengths, thresholds, events and steps."""
    n, events = len(truth), [(r[0], r[-1]) for r in _runs(truth)]
    ordered = sorted(score, reverse=True)
    cuts = [ordered[int(p)] for p in np.linspace(0, n - 1, n_thresholds)]
    rocs, prs = [], []
    for length in range(longest + 1):
        half = length // 2
        soft = [float(v) for v in truth]
        for t in range(n):
            if not truth[t]:
                for s, e in events:
                    d = max(s - t, t - e)
                    if d <= half:
                        soft[t] = min(soft[t] + np.sqrt(1 - d / length), 1.0)
        segments = [list(events[0])]
        for s, e in events[1:]:
            if segments[-1][1] + half >= s - half:
                segments[-1][1] = e
            else:
                segments.append([s, e])
        points, area, last = [(0.0, 0.0)], 0.0, 0.0
        for cut in cuts:
            pred = [v >= cut for v in score]
            tp = sum(v for v, p in zip(soft, pred, strict=True) if p)
            outside = sum(v for v, p, y in zip(soft, pred, truth, strict=True) if p and not y)
            positives = (2 * sum(truth) + outside) / 2
            found = sum(any(pred[max(s - half, 0) : e + half + 1]) for s, e in segments) / len(segments)
            tpr = min(tp / positives, 1) * found
            points.append(((sum(pred) - tp) / (n - positives), tpr))
            area += (tpr - last) * tp / sum(pred)
            last = tpr
        points.append((1.0, 1.0))
        rocs.append(sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(points)))
        prs.append(area)
    return np.mean(rocs), np.mean(prs)


def affiliation(true, found, span, steps=4000):
    """Midpoint sums over each zone, cut into equal cells, instead of exact integrals."""
    true = sorted(true)
    precisions, recalls = [], []
    for j, (a, b) in enumerate(true):
        low = span[0] if j == 0 else (true[j - 1][1] + a) / 2
        high = span[1] if j == len(true) - 1 else (b + true[j + 1][0]) / 2
        cells = low + (np.arange(steps) + 0.5) * (high - low) / steps
        away = np.maximum(np.maximum(a - cells, cells - b), 0)
        predicted = np.zeros(steps, bool)
        for c, d in found:
            predicted |= (cells > c) & (cells < d)
        if predicted.any():
            precisions.append(np.mean([1.0 if d == 0 else np.mean(away > d) for d in away[predicted]]))
        points = cells[(cells > a) & (cells < b)]
        if predicted.any():
            pieces = [(max(c, low), min(d, high)) for c, d in found if min(d, high) > max(c, low)]
            nearest = [min(max(c - y, y - d, 0.0) for c, d in pieces) for y in points]
            recalls.append(np.mean([np.mean(np.abs(cells - y) > d) for y, d in zip(points, nearest, strict=True)]))
        else:
            recalls.append(0.0)
    return (np.mean(precisions) if precisions else np.nan), np.mean(recalls)


def nab_score(windows, rows, n, cost_false, cost_missed):
    """Row by row: the weight of every row, then the best row of each window and the sum of the others."""
    skipped = min(int(0.15 * n), 750)

    def sigmoid(r):
        return -1.0 if r > 3 else 2 / (1 + np.exp(5 * r)) - 1

    weight, owner = np.full(n, -cost_false), np.full(n, -1)
    for w, (start, stop) in enumerate(windows):
        for i in range(start, n):
            if i < stop:
                weight[i], owner[i] = sigmoid(-(stop - i) / (stop - start)) / sigmoid(-1), w
            else:
                weight[i], owner[i] = cost_false * sigmoid((i - (stop - 1)) / max(stop - 1 - start, 1)), -1
    total = 0.0
    kept = [i for i in set(rows) if i >= skipped]
    judged = [w for w, (_, stop) in enumerate(windows) if stop > skipped]
    for w in judged:
        total += max((weight[i] for i in kept if owner[i] == w), default=-cost_missed)
    total += sum(weight[i] for i in kept if owner[i] == -1)
    null = -cost_missed * len(judged)
    return 100 * (total - null) / (len(windows) - null)


# --- pixels


def au_pro(masks, maps, limit, connectivity):
    """Overlap and false-positive rate at every threshold, by flood fill and counting; trapezoids up to the limit."""
    regions, seen = [], set()
    steps = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if connectivity == 8 or abs(dy) + abs(dx) == 1]
    height, width = masks.shape[1:]
    for start in np.ndindex(masks.shape):
        if not masks[start] or start in seen:
            continue
        region, todo = [], [start]
        while todo:
            i, y, x = cell = todo.pop()
            if cell in seen or not (0 <= y < height and 0 <= x < width) or not masks[cell]:
                continue
            seen.add(cell)
            region.append(cell)
            todo += [(i, y + dy, x + dx) for dy, dx in steps]
        regions.append(region)
    normal = [cell for cell in np.ndindex(masks.shape) if not masks[cell]]
    points = [(0.0, 0.0)]
    for t in sorted(set(maps.ravel().tolist()), reverse=True):
        rate = sum(maps[cell] >= t for cell in normal) / len(normal)
        overlap = np.mean([np.mean([maps[cell] >= t for cell in region]) for region in regions])
        points.append((rate, overlap))
    area = 0.0
    for (x0, y0), (x1, y1) in pairwise(points):
        stop = min(x1, limit)
        if stop > x0:
            end = y0 + (y1 - y0) * (stop - x0) / (x1 - x0)
            area += (stop - x0) * (y0 + end) / 2
    return area / limit


# --- gaussian, moments and Mahalanobis


def moment_sums(X):
    """Mean, sum z z', sum |z|^2 z and sum |z|^4 of the rows, z = x - mean, one row at a time."""
    X = np.asarray(X, dtype=float)
    n, d = X.shape
    mean = np.array([sum(X[:, j]) / n for j in range(d)])
    scatter, third, fourth = np.zeros((d, d)), np.zeros(d), 0.0
    for x in X:
        z = x - mean
        norm = sum(z**2)
        for i in range(d):
            for j in range(d):
                scatter[i, j] += z[i] * z[j]
            third[i] += norm * z[i]
        fourth += norm**2
    return mean, scatter, third, fourth


def ledoit_wolf_share(Z):
    """Share of the identity for centred rows: how far single outer products scatter around S, over how far S is off.

    |A|^2 is the sum of squares over d; pi = mean of |z z' - S|^2 over n; gamma = |S - m I|^2.
    """
    n, d = Z.shape
    S = sum(np.outer(z, z) for z in Z) / n
    m = np.trace(S) / d
    gamma = ((S - m * np.eye(d)) ** 2).sum() / d
    pi = sum(((np.outer(z, z) - S) ** 2).sum() for z in Z) / d / n**2
    return 0.0 if gamma < 1e-14 * m**2 else min(pi, gamma) / gamma


def mahalanobis_sq(X, mean, covariance):
    """z' Sigma^-1 z, one linear system per row."""
    return np.array([(x - mean) @ np.linalg.solve(covariance, x - mean) for x in np.asarray(X, dtype=float)])


def left_out_sq(X, covariance_of):
    """Distance of each row under the mean and the covariance of all the others, refitted."""
    X, result = np.asarray(X, dtype=float), []
    for k in range(len(X)):
        rest = np.delete(X, k, axis=0)
        result.append(mahalanobis_sq(X[k : k + 1], rest.mean(axis=0), covariance_of(rest))[0])
    return np.array(result)


def conditional_parts(X, mean, covariance):
    """What the squared distance falls by when a feature's row, column and value are struck out."""
    X, d = np.asarray(X, dtype=float), len(mean)
    parts = np.empty(X.shape)
    for j in range(d):
        rest = [i for i in range(d) if i != j]
        without = mahalanobis_sq(X[:, rest], mean[rest], covariance[np.ix_(rest, rest)]) if rest else 0.0
        parts[:, j] = mahalanobis_sq(X, mean, covariance) - without
    return parts


def smallest_determinant(X, h, ridge=0.0):
    """Smallest log-determinant of (1 - ridge) covariance + ridge I over all subsets of h rows, and the subset."""
    X, best = np.asarray(X, dtype=float), (np.inf, ())
    for rows in itertools.combinations(range(len(X)), h):
        Z = X[list(rows)] - X[list(rows)].mean(axis=0)
        S = (1 - ridge) * Z.T @ Z / h + ridge * np.eye(X.shape[1])
        best = min(best, (float(np.linalg.slogdet(S)[1]), rows))
    return best


def conformal_threshold(values, fpr):
    """The smallest value v with at least (1 - fpr)(n + 1) values at or below it; the largest where none is enough."""
    needed = (Fraction(1) - Fraction(str(fpr))) * (len(values) + 1)
    enough = [v for v in sorted(values) if sum(other <= v for other in values) >= needed]
    return enough[0] if enough else max(values)


# --- mixture and GMM


def mixture_log_densities(X, weights, means, covariances):
    """log(weight_k N(x; mean_k, covariance_k)) for every row and component, covariances (K, d, d)."""
    out = np.empty((len(X), len(weights)))
    for i, x in enumerate(np.asarray(X, dtype=float)):
        for k, (weight, mean, covariance) in enumerate(zip(weights, means, covariances, strict=True)):
            z = x - mean
            log_det = np.linalg.slogdet(covariance)[1]
            out[i, k] = np.log(weight) - (z @ np.linalg.inv(covariance) @ z + log_det + len(z) * np.log(2 * np.pi)) / 2
    return out


def em_step(X, weights, means, covariances, reg_covar, kind):
    """Mean log-likelihood before, and weights, means, full covariances after one EM iteration, by definition."""
    X = np.asarray(X, dtype=float)
    densities = mixture_log_densities(X, weights, means, covariances)
    log_p = [np.logaddexp.reduce(row) for row in densities]
    r = np.exp(densities - np.array(log_p)[:, None])
    n, d = X.shape
    mass = r.sum(axis=0)
    new_means = [sum(r[i, k] * X[i] for i in range(n)) / mass[k] for k in range(len(mass))]
    scatter = [
        sum(r[i, k] * np.outer(X[i] - new_means[k], X[i] - new_means[k]) for i in range(n)) for k in range(len(mass))
    ]
    shape = {
        "full": lambda S, N: S / N,
        "tied": lambda S, N: sum(scatter) / n,
        "diag": lambda S, N: np.diag(np.diag(S / N)),
        "spherical": lambda S, N: np.eye(d) * np.trace(S / N) / d,
    }[kind]
    new_covariances = [shape(S, N) + reg_covar * np.eye(d) for S, N in zip(scatter, mass, strict=True)]
    return np.mean(log_p), mass / n, np.array(new_means), np.array(new_covariances)


# --- column scales, mean shift, reconstruction


def column_scales(X, scaling):
    """Location, scale and constant mask by the plain formulas, column by column."""
    location, scale, constant = [], [], []
    for column in np.asarray(X, dtype=float).T:
        n = len(column)
        mean = sum(column) / n
        spread = (sum((x - mean) ** 2 for x in column) / (n - 1)) ** 0.5 if n > 1 else 0.0
        constant.append(spread <= 1e-12 * max(abs(x) for x in column))
        if constant[-1]:
            middle, width = column[0], 1.0
        elif scaling == "standard":
            middle, width = mean, spread
        elif scaling == "robust":
            low, middle, high = np.percentile(column, [25, 50, 75])
            width = (high - low) / 1.349 or spread
        else:
            middle, width = 0.0, 1.0
        location.append(middle)
        scale.append(width)
    return np.array(location), np.array(scale), np.array(constant)


def nearest(queries, rows, k):
    """Per query: the k rows that come first by (squared distance, row), in ascending order of the row."""
    index = []
    for q in queries:
        keyed = []
        for i, row in enumerate(rows):
            total = 0.0
            for a, b in zip(row, q, strict=True):
                total += (a - b) * (a - b)
            keyed.append((total, i))
        index.append(sorted(i for _, i in sorted(keyed)[:k]))
    return np.array(index)


def shift(queries, rows, k, statistic="mean"):
    """Per query: the mean of its k nearest rows, or the first of them with the least summed Manhattan distance."""
    moved = []
    for near in nearest(queries, rows, k):
        if statistic == "mean":
            total = np.zeros(rows.shape[1])
            for i in near:
                total = total + rows[i]
            moved.append(total / k)
        else:
            costs = []
            for i in near:
                cost = 0.0
                for other in near:
                    for a, b in zip(rows[i], rows[other], strict=True):
                        cost += abs(a - b)
                costs.append(cost)
            moved.append(rows[near[int(np.argmin(costs))]])
    return np.array(moved)


def reconstruct(x, weights, biases, two_heads):
    """One row through one member: (mean, variance) or (mean, None), neuron by neuron."""

    def layer(h, weight, bias):
        return [sum(h[i] * weight[i][o] for i in range(len(h))) + bias[0][o] for o in range(len(bias[0]))]

    h = [min(max(value, -1e4), 1e4) for value in x]
    n_hidden = len(weights) - (2 if two_heads else 1)
    for weight, bias in zip(weights[:n_hidden], biases[:n_hidden], strict=True):
        h = [max(value, 0.0) for value in layer(h, weight, bias)]
    mean = layer(h, weights[n_hidden], biases[n_hidden])
    if not two_heads:
        return np.array(mean), None
    z = layer(h, weights[-1], biases[-1])
    return np.array(mean), np.array([np.logaddexp(0.0, value) + 1e-5 for value in z])


def apre(x, mean, variance, alpha, beta, min_variance):
    """alpha sum (x - mean)^2 / w + beta sum log w, w = max(variance, min_variance), of one row."""
    total = 0.0
    for value, m, v in zip(x, mean, variance, strict=True):
        w = max(v, min_variance)
        total += alpha * (value - m) ** 2 / w + beta * np.log(w)
    return total


# --- ranks: a summary is a list of (value, a, b, c, e) and the number n of training values


def rank_summary(column):
    """Every distinct value v with #{< v} twice and #{<= v} twice; missing values are left out."""
    column = [v for v in np.asarray(column, dtype=float).tolist() if v == v]
    entries = []
    for v in sorted(set(column)):
        below, upto = sum(u < v for u in column), sum(u <= v for u in column)
        entries.append((v, below, below, upto, upto))
    return entries, len(column)


def rank_bounds(summary, x):
    """a, b, c, e at x: its own where x is kept, else c of the last value below and b of the first above, twice."""
    entries, n = summary
    low, high = 0, n
    for v, a, b, c, e in entries:
        if v == x:
            return a, b, c, e
        if v < x:
            low = c
        if v > x:
            high = min(high, b)
    return low, high, low, high


def merged_ranks(summaries):
    """The union of the values with the sums of the bounds."""
    union = sorted({entry[0] for entries, _ in summaries for entry in entries})
    bounds = [np.sum([rank_bounds(summary, v) for summary in summaries], axis=0).tolist() for v in union]
    return [(v, *four) for v, four in zip(union, bounds, strict=True)], sum(n for _, n in summaries)


def thinned_ranks(summary, budget):
    """From each kept value to the last one whose b is at most both limits, at least to the next."""
    entries, n = summary
    kept, i = entries[:1], 0
    while i < len(entries) - 1:
        c, growth = entries[i][3], np.exp(2 * budget)
        limit = min(c * growth, n - (n - c) / growth)
        i = max([i + 1] + [j for j in range(i + 1, len(entries)) if entries[j][2] <= limit])
        kept.append(entries[i])
    return kept, n
