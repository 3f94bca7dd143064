"""What rows can gain at most in Gaussian similarity, from moments: no pair of rows is looked at.

With t_i how well a row is served and v_ij = −ln t_i − |x_i − x_j|²/h², the gain of a row j is
Σ_i t_i·max(e^{v_ij} − 1, 0). For any c > 0 there is a parabola a·(v + c)² above e^v − 1 up to the
largest v that there can be, so Σ_i t_i·v_ij and Σ_i t_i·v_ij² are enough for a bound. For max(v, 0)
in place of e^v − 1 this is the bound of Scarf 1958.
"""

from collections.abc import Callable

import numpy as np

from nextlabel_server.selection import distances, sharing
from nextlabel_server.selection.distances import Doubles, Matrix

_LEAST = float(np.exp(-2))  # parabolas are steep where rows are served less; that is added instead
_FARTHEST = 30.0  # of −ln t, where nothing is served yet
_TRIED = np.geomspace(0.2, 5, 24)  # c, as a share of a typical v; each row takes the best
_STEPS = 2000  # of v, each as high as its end and as low as its start
_BLOCK = 1 << 17
_ROUNDING = 16 * float(np.finfo(np.float64).eps)  # of one term


def gain_bounds(
    x: Matrix, bandwidth: float, served: Doubles, check: Callable[[], object]
) -> Doubles:
    """What Σ_i max(e^(−|x_i − x_j|²/h²) − served_i, 0) is not above, for each row j, [N].

    O(N·D²), and of use where gains differ more than the bounds are off: while few rows are picked.

    Args:
        x: [N, D] float32, N ≥ 1.
        bandwidth: h.
        served: [N], from 0 to 1.
        check: called now and then.
    """
    first = not served.any()
    if first:
        far = min(2 * distances.variance(x) * bandwidth**-2, _FARTHEST)
        lengths = np.full(len(x), far)
    else:
        lengths = -np.log(np.maximum(served, _LEAST))
    weights = np.exp(-lengths)
    mean = x.mean(axis=0, dtype=np.float64)

    def factors(rows: slice) -> tuple[Doubles, Doubles]:
        """v_ij = <left_i, right_j>, each [n, D + 2]; 1 is the last number of each left_i."""
        check()
        z = (x[rows] - mean) / bandwidth
        squared, one = distances.squared_norms(z)[:, None], np.ones((len(z), 1))
        left = np.concatenate([z, lengths[rows, None] - squared, one], axis=1)
        return left, np.concatenate([2 * z, one, -squared], axis=1)

    def moments_of(rows: slice) -> tuple[Doubles, float]:
        left, _ = factors(rows)
        return (left.T * weights[rows]) @ left, float(distances.squared_norms(left).max())

    def of_rows(rows: slice) -> tuple[Doubles, Doubles]:
        """Σ_i t_i·v_ij and Σ_i t_i·v_ij² of rows j, or a little more."""
        _, right = factors(rows)
        size = largest * distances.squared_norms(right)  # what no v² is above
        seconds = np.einsum("nd,nd->n", right @ moments, right)
        return right @ moments[:, -1] + error * np.sqrt(size), seconds + error * size

    def bounds_of(rows: slice) -> Doubles:
        m1, m2 = of_rows(rows)
        bounds: Doubles = total + m1 + curvature * m2
        if not first:
            parabolas = [a * (m2 + 2 * c * m1 + c**2 * total) for a, c in tried]
            bounds = np.minimum.reduce(parabolas) + (weights - served).sum()
        return bounds

    blocks = list(distances.blocks(len(x), x.shape[1], _BLOCK))
    parts = list(sharing.results(moments_of, blocks))
    moments = np.add.reduce([part for part, _ in parts])
    largest = max(norm for _, norm in parts)
    total = float(moments[-1, -1])
    error = _ROUNDING * (len(x) + x.shape[1]) * total
    steps = np.linspace(0, lengths.max(), _STEPS)
    curvature = _curvature(float(steps[-1]))
    typical = np.sqrt(of_rows(blocks[0])[1].mean() / total)
    tried = [(_steepness(c, steps), c) for c in _TRIED * typical]
    return np.concatenate(list(sharing.results(bounds_of, blocks)))


def _curvature(longest: float) -> float:
    """The least β with e^v ≤ 1 + v + β·v² up to some v."""
    # The series says more of small numbers, and is no less than it should be up to 0.1.
    return (np.expm1(longest) - longest) / longest**2 if longest > 0.1 else 0.5 + longest / 5


def _steepness(c: float, steps: Doubles) -> float:
    """An a with a·(v + c)² ≥ e^v − 1 for all v up to the last of some steps."""
    return float((np.expm1(steps[1:]) / (steps[:-1] + c) ** 2).max())
