"""A fitted ECOD, Mahalanobis or GMM as an ONNX graph, for serving where there is no Python.

The graph takes rows "X" (n, d), float64, and gives "anomaly_score" (n,), float64, and "is_outlier" (n,), bool: what
`odkit.anomaly_score` and `predict` say. Scalers of a Pipeline become part of it.
"""

import math
from os import PathLike
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, helper, numpy_helper
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

import odkit
from odkit._sklearn import check_is_fitted
from odkit.atomic import whole_file
from odkit.detectors.ecod import ECOD
from odkit.detectors.gmm import GMM
from odkit.detectors.mahalanobis import Mahalanobis
from odkit.kernels.cpu import em
from odkit.kernels.cpu.tail_table import place_costs

__all__ = ["save", "to_onnx"]

OPSET = 17


def save(detector: Any, path: str | PathLike) -> None:
    """Write the graph of `to_onnx` to a file, whole or not at all."""
    with whole_file(path) as file:
        file.write(to_onnx(detector).SerializeToString())


def to_onnx(detector: Any) -> onnx.ModelProto:
    """The graph of a fitted detector.

    Scores agree with the detector's to rounding (some 1e-12 relative); ECOD's differ by the order in which columns are
    added. Rows on which they lie within rounding of the threshold may be flagged differently. As with any float64
    graph, feed float64: a value that was rounded to float32 is another value.

    Parameters
    ----------
    detector : fitted ECOD, Mahalanobis or GMM, or a Pipeline of StandardScaler, RobustScaler and MinMaxScaler that ends
        in one

    Raises
    ------
    TypeError
        If a step is none of these.

    Examples
    --------
    >>> import pytest
    >>> _ = pytest.importorskip("onnxruntime")
    >>> import numpy as np, onnxruntime
    >>> from odkit import ECOD
    >>> from odkit.adapters.onnx import to_onnx
    >>> detector = ECOD(contamination=0.2).fit([[1.0], [2.0], [2.0], [3.0], [10.0]])
    >>> graph = onnxruntime.InferenceSession(to_onnx(detector).SerializeToString())
    >>> score, flag = graph.run(None, {"X": np.array([[2.0], [50.0]])})
    >>> score.round(2), flag
    (array([ 0.51, 13.92]), array([False,  True]))
    """
    check_is_fitted(detector)
    steps = [step for _, step in detector.steps] if isinstance(detector, Pipeline) else [detector]
    graph = _Graph()
    rows = "X"
    for step in steps[:-1]:
        rows = _scaled(graph, step, rows)
    last = steps[-1]
    writers = {ECOD: _ecod, Mahalanobis: _mahalanobis, GMM: _gmm}
    if type(last) not in writers:
        raise TypeError(f"to_onnx: {type(last).__name__} has no ONNX form; ECOD, Mahalanobis and GMM have one")
    score = writers[type(last)](graph, last, rows)
    graph.add("Identity", score, name="anomaly_score")
    shifted = graph.add("Sub", graph.add("Neg", score), graph.constant(float(last.offset_)))
    graph.add("Less", shifted, graph.constant(0.0), name="is_outlier")
    return graph.model(detector)


class _Graph:
    """Nodes and constants, in order; every method returns the name of what it made."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, value: ArrayLike) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value).reshape(np.shape(value)), name))
        return name

    def add(self, operator: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        name = name or f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def sum(self, rows: str, axis: int) -> str:
        return self.add("ReduceSum", rows, self.constant(np.array([axis])), keepdims=0)

    def model(self, detector: Any) -> onnx.ModelProto:
        rows = helper.make_tensor_value_info("X", TensorProto.DOUBLE, ["n", int(detector.n_features_in_)])
        results = [
            helper.make_tensor_value_info("anomaly_score", TensorProto.DOUBLE, ["n"]),
            helper.make_tensor_value_info("is_outlier", TensorProto.BOOL, ["n"]),
        ]
        graph = helper.make_graph(self.nodes, "odkit", [rows], results, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
        model.producer_name, model.producer_version = "odkit", odkit.__version__
        names = getattr(detector, "feature_names_in_", None)
        if names is not None:
            helper.set_model_props(model, {"feature_names": "\n".join(names)})
        onnx.checker.check_model(model)
        return model


def _scaled(graph: _Graph, step: Any, rows: str) -> str:
    """(X - shift) / scale, or X scale + shift, as the scaler itself computes."""
    if step in (None, "passthrough"):
        return rows
    if type(step) in (StandardScaler, RobustScaler):
        shift = step.mean_ if isinstance(step, StandardScaler) and step.with_mean else getattr(step, "center_", None)
        if shift is not None:
            rows = graph.add("Sub", rows, graph.constant(shift))
        return rows if step.scale_ is None else graph.add("Div", rows, graph.constant(step.scale_))
    if type(step) is MinMaxScaler and not step.clip:
        return graph.add("Add", graph.add("Mul", rows, graph.constant(step.scale_)), graph.constant(step.min_))
    raise TypeError(
        f"to_onnx: {type(step).__name__} has no ONNX form here; StandardScaler, RobustScaler and MinMaxScaler (without "
        "clip) have one"
    )


def _mahalanobis(graph: _Graph, detector: Mahalanobis, rows: str) -> str:
    """sqrt of sum_i (v_i.z)^2 / w_i + |z - V'V z|^2 / f; or of |R z|^2, where all directions have a weight."""
    if detector.normalize is not None:
        length = graph.add("ReduceL2", rows, axes=[1], keepdims=1)
        empty = graph.add("Equal", length, graph.constant(0.0))
        rows = graph.add("Div", rows, graph.add("Where", empty, graph.constant(1.0), length))
    z = graph.add("Sub", rows, graph.constant(detector.location_))
    if detector.whitener_ is not None:
        white = graph.add("MatMul", z, graph.constant(np.ascontiguousarray(detector.whitener_.T)))
        return graph.add("Sqrt", graph.sum(graph.add("Mul", white, white), 1))
    along = z
    if detector.components_ is not None:
        along = graph.add("MatMul", z, graph.constant(np.ascontiguousarray(detector.components_.T)))
    weighted = graph.add("Mul", along, graph.constant(1 / np.sqrt(detector.weights_)))
    square = graph.sum(graph.add("Mul", weighted, weighted), 1)
    if detector.components_ is not None and np.isfinite(detector.floor_):
        residual = graph.add("Sub", z, graph.add("MatMul", along, graph.constant(detector.components_)))
        rest = graph.sum(graph.add("Mul", residual, residual), 1)
        square = graph.add("Add", square, graph.add("Div", rest, graph.constant(float(detector.floor_))))
    return graph.add("Sqrt", square)


def _gmm(graph: _Graph, detector: GMM, rows: str) -> str:
    """-log sum_k exp(offset_k - |A_k (x - mean_k)|^2 / 2)."""
    means, factors, offsets = em.kernel_arguments(detector._mixture())
    wide = graph.add("Unsqueeze", rows, graph.constant(np.array([0])))
    z = graph.add("Sub", wide, graph.constant(means[:, None, :]))  # (K, n, d)
    if factors.ndim == 3:
        white = graph.add("MatMul", z, graph.constant(np.swapaxes(factors, 1, 2)))
    else:
        white = graph.add("Mul", z, graph.constant(factors[:, None, :]))
    square = graph.sum(graph.add("Mul", white, white), 2)
    density = graph.add("Sub", graph.constant(offsets[:, None]), graph.add("Mul", square, graph.constant(0.5)))
    return graph.add("Neg", graph.add("ReduceLogSumExp", density, axes=[0], keepdims=0))


def _ecod(graph: _Graph, detector: ECOD, rows: str) -> str:
    """A binary search through each column's values, unrolled, then the costs of the place and the tail excess."""
    table, d = detector._table, detector.n_features_in_
    columns = [place_costs(table, j) for j in range(d)]
    sizes = np.array([keys.size for keys, _, _ in columns])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    flat = np.concatenate(
        [*(keys for keys, _, _ in columns), np.zeros(1, table.values.dtype)]
    )  # one to look at in vain
    x = graph.add("Cast", rows, to=helper.np_dtype_to_tensor_dtype(table.values.dtype))
    keys, last, ends = graph.constant(flat), graph.constant(np.int64(flat.size - 1)), graph.constant(starts + sizes)
    two = graph.constant(np.int64(2))
    zero = graph.add("Mul", graph.add("Cast", graph.add("IsNaN", x), to=TensorProto.INT64), graph.constant(np.int64(0)))
    low, high = graph.add("Add", zero, graph.constant(starts)), graph.add("Add", zero, ends)
    for _ in range(math.ceil(math.log2(sizes.max() + 1))):
        middle = graph.add("Div", graph.add("Add", low, high), two)
        right_of = graph.add("Less", graph.add("Gather", keys, graph.add("Min", middle, last)), x)
        right_of = graph.add("And", right_of, graph.add("Less", low, high))
        above = graph.add("Add", middle, graph.constant(np.int64(1)))
        low, high = graph.add("Where", right_of, above, low), graph.add("Where", right_of, high, middle)
    hit = graph.add("Equal", graph.add("Gather", keys, graph.add("Min", low, last)), x)
    hit = graph.add("Cast", graph.add("And", hit, graph.add("Less", low, ends)), to=TensorProto.INT64)
    # place = keys below + keys not above, 0 to 2 m; feature j has 2 m_j + 1 of them
    place = graph.add("Add", graph.add("Add", low, low), hit)
    place = graph.add("Add", place, graph.constant(np.arange(d)))
    excess = _excess(graph, detector, [keys for keys, _, _ in columns], x)
    absent = graph.add("IsNaN", rows)

    def cost(part: int) -> str:
        """Of the left (0), right (1) or larger tail (2) of every cell."""
        pairs = [(left, right, np.maximum(left, right))[part] for _, left, right in columns]
        found = graph.add("Gather", graph.constant(np.concatenate(pairs)), place)
        for side in (0, 1):
            if part in (side, 2) and excess:
                found = graph.add("Add", found, excess[side])
        return graph.add("Where", absent, graph.constant(detector._missing[part]), found)

    if detector.aggregation_ == "feature_max":
        return graph.sum(cost(2), 1)
    left, right = cost(0), cost(1)
    auto = graph.add("Where", graph.constant(detector.skewness_sign_ < 0), left, right)
    sums = [graph.sum(part, 1) for part in (left, right, auto)]
    return graph.add("Max", *sums)


def _excess(graph: _Graph, detector: ECOD, columns: list[NDArray], x: str) -> list[str]:
    """Nats for lying below and above the training values; empty where the detector counts none."""
    if detector.tail_cap_ == 0:
        return []
    cap, parts = detector.tail_cap_, []
    cells = graph.add("Cast", x, to=TensorProto.DOUBLE)
    for side, end in ((0, 0), (1, -1)):
        edges = np.array([keys[end] if keys.size else (-np.inf, np.inf)[side] for keys in columns], np.float64)
        scale = detector.tail_scale_[side]
        edge = graph.constant(edges)
        beyond = graph.add("Sub", edge, cells) if side == 0 else graph.add("Sub", cells, edge)
        far = graph.add("GreaterOrEqual", beyond, graph.constant(cap * scale))
        divisor = graph.add("Where", far, graph.constant(1.0), graph.constant(scale))
        nats = graph.add("Where", far, graph.constant(cap), graph.add("Div", beyond, divisor))
        outside = graph.add("Greater", beyond, graph.constant(0.0))
        parts.append(graph.add("Where", outside, nats, graph.constant(0.0)))
    return parts
