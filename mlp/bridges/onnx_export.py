"""Networks as ONNX models, which other languages and runtimes execute. The only file that imports onnx, at use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import mlp.bridges.onnx_activations
import mlp.bridges.onnx_layers  # noqa: F401 - these two write the layers
from mlp import __version__
from mlp.bridges.onnx_graph import WRITERS, Graph, Node
from mlp.checks import InputError
from mlp.files import write_atomically
from mlp.network import Network

OPERATOR_SET = 18
# What protobuf, the format of the file, can hold.
MAX_BYTES = 2**31 - 1


def export_onnx(network: Network, path: str | Path) -> None:
    """Write ``network``, as it computes in evaluation mode, to ``path`` (.onnx), all of it or nothing.

    The model has one input, "x", and one output, "scores", in the dtype of the network: (batch, in_features) ->
    (batch, out_features), for any batch; one that begins with an Embedding takes one index a sample, (batch,).
    "scores" is ``network.scores(x)`` up to rounding. Parameters keep their names.

    Raises ``InputError`` for a layer that has no counterpart (see ``onnx_layers`` and ``onnx_activations``), for a
    network of more than 2 GiB, if the file cannot be written, and if onnx is not installed.
    """
    write_atomically(Path(path), lambda file: file.write(to_onnx(network).SerializeToString()))


def to_onnx(network: Network) -> Any:
    """The same as an ``onnx.ModelProto``."""
    graph = Graph(network, WRITERS)
    scores = graph.through(network.body, "x")
    graph.nodes.append(Node("Identity", [scores], "scores", {}))
    size = sum(array.nbytes for array in graph.constants.values())
    if size > MAX_BYTES:
        raise InputError(f"export_onnx: the network has {size:,} bytes, an ONNX file holds {MAX_BYTES:,}")
    try:
        from onnx import helper, numpy_helper
    except ImportError:
        raise InputError("export_onnx needs onnx: pip install onnx") from None

    def make_node(node: Node) -> Any:
        attributes: dict[str, Any] = {
            name: helper.np_dtype_to_tensor_dtype(value) if isinstance(value, np.dtype) else value
            for name, value in node.attributes.items()
        }
        return helper.make_node(node.operator, node.inputs, [node.output], node.output, **attributes)

    takes_indices = any(node.operator == "Cast" and node.inputs == ["x"] for node in graph.nodes)
    number = helper.np_dtype_to_tensor_dtype(network.dtype)
    x = helper.make_tensor_value_info("x", number, ["batch"] if takes_indices else ["batch", network.in_features])
    y = helper.make_tensor_value_info("scores", number, ["batch", network.out_features])
    constants = [numpy_helper.from_array(array, name) for name, array in graph.constants.items()]
    operators = [helper.make_opsetid("", OPERATOR_SET)]
    return helper.make_model(
        helper.make_graph([make_node(node) for node in graph.nodes], "network", [x], [y], constants),
        opset_imports=operators,
        ir_version=helper.find_min_ir_version_for(operators),  # not the newest, so that more runtimes read it
        producer_name="mlp",
        producer_version=__version__,
        doc_string=repr(network),
    )
