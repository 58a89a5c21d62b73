"""The jitted loop of `matrix_profile.py`: inner products along diagonals."""

from odkit.kernels.cpu.jit import njit

__all__ = ["scan_diagonals"]

FORGET = 1e4  # growth of 1 / (norm norm) after which a covariance is summed afresh


@njit
def scan_diagonals(
    x,
    mean,
    inverse,
    difference,
    centred,
    r,
    r_mean,
    r_inverse,
    r_difference,
    r_centred,
    window,
    diagonals,
    mirror,
    best,
):
    """Raise best[i] to the largest correlation of window i of x with a window j = i + k of r on the given diagonals.

    cov_{i,j} = cov_{i-1,j-1} + difference_i centred_j + centred_i difference_j. The sum keeps a rounding error of the
    size of the largest covariance it went through; it is taken afresh where the windows have become so much smaller
    that the error would show. `mirror` raises best[j] too.
    """
    n, n_other = len(mean), len(r_mean)
    for k in diagonals:
        begin = max(0, -k)
        covariance, smallest = 0.0, -1.0
        for i in range(begin, begin + min(n - begin, n_other - begin - k)):
            j = i + k
            covariance += difference[i] * r_centred[j] + centred[i] * r_difference[j]
            inverses = inverse[i] * r_inverse[j]
            if inverses > 0.0:
                if smallest < 0.0 or inverses > FORGET * smallest:
                    covariance = 0.0
                    for s in range(window):
                        covariance += (x[i + s] - mean[i]) * (r[j + s] - r_mean[j])
                    smallest = inverses
                smallest = min(smallest, inverses)
                correlation = covariance * inverses
            else:
                smallest = -1.0
                # both constant: distance 0; one: sqrt(m), of which 2 m (1 - 1/2) is the square
                correlation = 1.0 if inverse[i] == r_inverse[j] else 0.5
            best[i] = max(best[i], correlation)
            if mirror:
                best[j] = max(best[j], correlation)
