"""Exports generators as ONNX: converts the jaxpr of a generator node by node, with its weights as constants.

Function calls are inlined, and code that differs by platform is converted in its general form. Values that do not
depend on the latents are computed at export, so that weights enter the graph in the form in which they are used.
Low-precision activations become float32, which every runtime supports. The batch size is dynamic.

onnx.helper builds the nodes and the model, but has no converter from jax. The package jax2onnx has one for more
operations, but cannot be installed beside the orbax-checkpoint that stores runs (it requires one below 0.11.37).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
import onnx
from jax.extend import core

from jaxgan.errors import UserError
from jaxgan.exporting.primitives import RULES, Equation, Graph, Value
from jaxgan.exporting.stablehlo import any_batch, arguments
from jaxgan.fields import Spec
from jaxgan.game import Array
from jaxgan.system.whole_files import replace_file

OPSET, IR_VERSION = 18, 9  # supported by onnxruntime 1.15 (2023) and later
INNER = ("jaxpr", "call_jaxpr", "fun_jaxpr")  # parameters of primitives that hold the called function
CALLS = {"jit", "pjit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call", "remat", "checkpoint"}


def write(path: str | os.PathLike[str], function: Callable[..., Array], asks: Spec) -> None:
    """Writes the graph of `function`: inputs have the names and shapes in `asks`, the output is "image".

    Raises UserError for operations that cannot be converted.
    """
    replace_file(path, convert(function, asks).SerializeToString())


def convert(function: Callable[..., Array], asks: Spec) -> onnx.ModelProto:
    """The model that `write` saves, checked by onnx."""
    shapes = arguments(asks)
    batch = shapes[0].shape[0]
    with any_batch("onnx"):
        closed = jax.make_jaxpr(function)(*shapes)
    graph = Graph(batch)
    [image] = _walk(graph, closed.jaxpr, closed.consts, [*asks])
    graph.emit_as("image", "Identity", image)
    inputs = [
        onnx.helper.make_tensor_value_info(
            name, onnx.helper.np_dtype_to_tensor_dtype(shape.dtype), ["b", *shape.shape[1:]]
        )
        for name, shape in zip(asks, shapes)
    ]
    sides = closed.out_avals[0].shape[1:]
    output = onnx.helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, ["b", *sides])
    model = onnx.helper.make_model(
        onnx.helper.make_graph(graph.nodes, "generator", inputs, [output], initializer=graph.initializers),
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="jaxgan",
    )
    onnx.checker.check_model(model)
    return model


def _walk(graph: Graph, jaxpr: core.Jaxpr, consts: Sequence[Any], inputs: Sequence[Value]) -> list[Value]:
    """Adds the nodes of a jaxpr. Its results are arrays if they are constant, else names of nodes."""
    known: dict[core.Var, Value] = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *inputs)))

    def value(atom: Any) -> Value:
        return known[atom] if isinstance(atom, core.Var) else np.asarray(atom.val, atom.aval.dtype)

    for equation in jaxpr.eqns:
        known.update(zip(equation.outvars, _step(graph, equation, [value(atom) for atom in equation.invars])))
    return [value(atom) for atom in jaxpr.outvars]


def _step(graph: Graph, equation: Equation, inputs: list[Value]) -> Sequence[Value]:
    name, params = equation.primitive.name, equation.params
    if name == "platform_index":  # of lax.platform_dependent: the default branch, or else the last
        platforms = params["platforms"]
        return [np.int32(platforms.index(None) if None in platforms else len(platforms) - 1)]
    if name == "cond" and not isinstance(inputs[0], str):
        return _follow(graph, params["branches"][int(inputs[0])], inputs[1:])
    if name in CALLS:
        return _follow(graph, next(params[key] for key in INNER if key in params), inputs)
    static = all(isinstance(each, int) for variable in equation.outvars for each in variable.aval.shape)
    if static and name != "dim_as_value" and not any(isinstance(each, str) for each in inputs):
        found = equation.primitive.bind(*inputs, **params)
        return found if equation.primitive.multiple_results else [found]
    if name == "scan" and not any(
        isinstance(each, str) for each in inputs[params["num_consts"] + params["num_carry"] :]
    ):
        return _unrolled(graph, equation, inputs)
    if name not in RULES:
        raise UserError(f"--format=onnx: the network uses {name!r}, which cannot be converted; use --format=stablehlo")
    found = RULES[name](graph, equation, *inputs)
    return [found] if isinstance(found, str) else found


def _unrolled(graph: Graph, equation: Equation, inputs: Sequence[Value]) -> list[Value]:
    """Unrolls a loop over constants that has no stacked outputs."""
    params = equation.params
    start = params["num_consts"] + params["num_carry"]
    consts, carry, rows = inputs[: params["num_consts"]], list(inputs[params["num_consts"] : start]), inputs[start:]
    if len(equation.outvars) != len(carry):
        raise UserError("--format=onnx: the network has a loop with stacked outputs, which cannot be converted")
    steps = range(params["length"])
    for index in reversed(steps) if params["reverse"] else steps:
        carry = _follow(graph, params["jaxpr"], [*consts, *carry, *(row[index] for row in rows)])
    return carry


def _follow(graph: Graph, called: core.Jaxpr | core.ClosedJaxpr, inputs: Sequence[Value]) -> list[Value]:
    if isinstance(called, core.ClosedJaxpr):
        return _walk(graph, called.jaxpr, called.consts, inputs)
    return _walk(graph, called, (), inputs)
