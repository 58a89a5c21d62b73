"""Jitted loop of `streams.py`."""

import numpy as np

from odkit.kernels.cpu.jit import njit

__all__ = ["vote"]

SD_FLOOR = 1e-3  # of a relative error: a tenth of a percent is no news, however quiet the channel was
TRACE_LIMIT = 1e6  # per coefficient: a channel that says nothing new would blow its P up by 1 / forgetting a step


@njit
def vote(
    x, step, theta, P, lags, sizes, sorted_sizes, errors, levels, rows, origin, sums, products,
    forgetting, smooth, rho, share, level, parts, alarms,
):  # fmt: skip
    n, width = x.shape
    order, memory, window = theta.shape[1], sizes.shape[1], rows.shape[0]
    phi, gain, z = np.empty(order), np.empty(order), np.empty(width)
    for row in range(n):
        t = step[0]
        step[0] += 1
        ready = t >= memory and t >= window - 1
        for c in range(width):
            value = x[row, c]
            relative = 0.0
            if t >= order:
                for k in range(order):
                    phi[k] = lags[c, (t + k) % order]  # oldest first
                error, quadratic = value, forgetting
                for k in range(order):
                    product = 0.0
                    for j in range(order):
                        product += P[c, k, j] * phi[j]
                    gain[k] = product
                    quadratic += phi[k] * product
                    error -= theta[c, k] * phi[k]
                trace = 0.0
                for k in range(order):
                    theta[c, k] += gain[k] / quadratic * error
                    for j in range(k, order):
                        P[c, k, j] -= gain[k] * gain[j] / quadratic
                        P[c, j, k] = P[c, k, j]
                    trace += P[c, k, k]
                if trace < TRACE_LIMIT * order:
                    for k in range(order):
                        for j in range(order):
                            P[c, k, j] /= forgetting
                count = min(t, memory)
                usual = 0.5 * (sorted_sizes[c, (count - 1) // 2] + sorted_sizes[c, count // 2])
                scale = abs(value) + usual
                if scale > 0.0:
                    relative = abs(error) / scale
            lags[c, t % order] = value
            _replace(sorted_sizes[c], sizes[c, t % memory] if t >= memory else np.inf, abs(value))
            sizes[c, t % memory] = abs(value)
            errors[c, t % smooth] = relative
            mean_error = errors[c].sum() / min(t + 1, smooth)
            z[c] = 0.0
            if ready:
                mean = levels[c].mean()
                z[c] = (mean_error - mean) / max(np.sqrt(((levels[c] - mean) ** 2).mean()), SD_FLOOR)
            levels[c, t % memory] = mean_error
        _advance(x[row], t, rows, origin, sums, products)
        if ready:
            alarms[row] = _lead(z, window, sums, products, rho, share, level, parts[row])


@njit
def _replace(ordered, old, new):
    """One value of a sorted array for another."""
    i = np.searchsorted(ordered, old)
    while i > 0 and ordered[i - 1] > new:
        ordered[i] = ordered[i - 1]
        i -= 1
    while i + 1 < len(ordered) and ordered[i + 1] < new:
        ordered[i] = ordered[i + 1]
        i += 1
    ordered[i] = new


@njit
def _advance(value, t, rows, origin, sums, products):
    """Running sums over the last rows, taken afresh once per window so that rounding cannot pile up."""
    window, width = rows.shape
    if t == 0:
        origin[:] = value
    place = t % window
    for c in range(width):
        old, new = rows[place, c], value[c] - origin[c]
        sums[c] += new - old
        for d in range(c + 1):
            products[c, d] += new * (value[d] - origin[d]) - old * rows[place, d]
    rows[place] = value - origin
    if place == window - 1:
        for c in range(width):
            sums[c] = rows[:, c].sum()
            for d in range(c + 1):
                products[c, d] = (rows[:, c] * rows[:, d]).sum()


@njit
def _lead(z, window, sums, products, rho, share, level, parts):
    """Parts of the group with the largest mean of max(z, 0), and whether some group outvotes its share."""
    width = len(z)
    members = np.empty(width, np.bool_)
    alarm, best = False, 0.0
    for c in range(width):
        size, flags, total = 0, 0, 0.0
        for d in range(width):
            members[d] = d == c or _correlated(c, d, window, sums, products, rho)
            if members[d]:
                size += 1
                flags += z[d] > level
                total += max(z[d], 0.0)
        if size < 2:
            continue
        alarm = alarm or flags > share * size
        if total / size > best:
            best = total / size
            for d in range(width):
                parts[d] = max(z[d], 0.0) / size if members[d] else 0.0
    return alarm


@njit
def _correlated(c, d, window, sums, products, rho):
    high, low = max(c, d), min(c, d)
    covariance = products[high, low] - sums[c] * sums[d] / window
    variances = (products[c, c] - sums[c] ** 2 / window) * (products[d, d] - sums[d] ** 2 / window)
    tiny = 1e-20 * products[c, c] * products[d, d]  # a channel that did not move is correlated with nothing
    return variances > tiny and covariance**2 >= rho**2 * variances
