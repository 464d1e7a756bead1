"""Converts jax's primitives to ONNX nodes. onnx.helper builds the nodes, but converts nothing from jax."""

from __future__ import annotations

import hashlib
import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import jax.numpy as jnp
import numpy as np
import onnx
from jax.extend import core
from jax.typing import DTypeLike
from onnx import helper, numpy_helper

from jaxgan.errors import UserError

Value = Any  # an array if it is constant, else the name of a node's result
Rule = Callable[..., "str | list[str]"]  # (graph, equation, *inputs) -> names of the results


class Atom(Protocol):
    """A variable or literal of a jaxpr."""

    @property
    def aval(self) -> Any:
        """Its shape and dtype."""
        ...


class Equation(Protocol):
    """An equation of a jaxpr, with shapes and dtypes that jax's own class does not declare."""

    @property
    def primitive(self) -> core.Primitive:
        """The operation."""
        ...

    @property
    def params(self) -> dict[str, Any]:
        """The static arguments."""
        ...

    @property
    def invars(self) -> Sequence[Atom]:
        """The operands."""
        ...

    @property
    def outvars(self) -> Sequence[Atom]:
        """The results."""
        ...


class Graph:
    """Collects nodes and weights. All sizes are known except the symbolic size `batch`."""

    def __init__(self, batch: Any):
        self.batch = batch
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def emit(self, operator: str, *inputs: Value, **attributes: Any) -> str:
        """Adds a node and returns the name of its result."""
        return self.emit_as(f"v{len(self.nodes)}", operator, *inputs, **attributes)

    def emit_as(self, name: str, operator: str, *inputs: Value, **attributes: Any) -> str:
        """Adds a node whose result has this name."""
        self.nodes.append(helper.make_node(operator, [self.name(each) for each in inputs], [name], **attributes))
        return name

    def name(self, value: Value) -> str:
        """The name of a value. Constants are added to the graph, equal ones only once."""
        if isinstance(value, str):
            return value
        array = np.asarray(value)
        array = np.ascontiguousarray(array.astype(dtype_of(array.dtype))).reshape(array.shape)
        key = (array.dtype.str, array.shape, hashlib.sha256(array.tobytes()).digest())
        if key not in self._constants:
            self._constants[key] = f"c{len(self.initializers)}"
            self.initializers.append(numpy_helper.from_array(array, self._constants[key]))
        return self._constants[key]

    def shape(self, shape: Sequence[Any]) -> Value:
        """A shape as int64 `[n]`; sides may be multiples of the batch."""
        if all(isinstance(side, int) for side in shape):
            return np.asarray(shape, np.int64)
        parts = [np.asarray([side]) if isinstance(side, int) else self.side(side) for side in shape]
        return self.emit("Concat", *parts, axis=0)

    def side(self, side: Any) -> str:
        """A multiple of the batch, int64 `[1]`."""
        factor = side // self.batch
        if not isinstance(factor, int) or factor * self.batch != side:
            raise UserError(f"--format=onnx: the network has a side of {side}, expected a multiple of the batch")
        batch = self.emit("Shape", "latent", start=0, end=1)
        return batch if factor == 1 else self.emit("Mul", batch, np.asarray([factor]))

    def reshaped(self, value: Value, shape: Sequence[Any]) -> Value:
        """Reshapes a value; sides of the shape may depend on the batch."""
        if not isinstance(value, str):
            return np.reshape(value, shape)
        if sum(not isinstance(side, int) for side in shape) == 1:
            return self.emit("Reshape", value, np.asarray([s if isinstance(s, int) else -1 for s in shape], np.int64))
        return self.emit("Reshape", value, self.shape(shape))


def dtype_of(dtype: DTypeLike) -> np.dtype:
    """The dtype in the graph: every floating type is float32."""
    return np.dtype(np.float32) if jnp.issubdtype(dtype, jnp.floating) else np.dtype(dtype)


def _plain(operator: str) -> Rule:
    return lambda graph, _, *inputs: graph.emit(operator, *inputs)


def _composed(outer: str, inner: str) -> Rule:
    return lambda graph, _, *inputs: graph.emit(outer, graph.emit(inner, *inputs))


def _reduce(operator: str) -> Rule:
    def rule(graph: Graph, equation: Equation, x: str) -> str:
        return graph.emit(operator, x, np.asarray(equation.params["axes"], np.int64), keepdims=0)

    return rule


def _integer_pow(graph: Graph, equation: Equation, x: str) -> str:
    return graph.emit("Pow", x, np.float32(equation.params["y"]))


def _convert(graph: Graph, equation: Equation, x: str) -> str:
    return graph.emit("Cast", x, to=helper.np_dtype_to_tensor_dtype(dtype_of(equation.params["new_dtype"])))


def _select(graph: Graph, equation: Equation, which: Value, *cases: Value) -> str:
    if len(cases) != 2 or equation.invars[0].aval.dtype != jnp.bool_:
        raise UserError("--format=onnx: the network selects from more than two cases, which cannot be converted")
    return graph.emit("Where", which, cases[1], cases[0])


def _clamp(graph: Graph, equation: Equation, low: Value, x: Value, high: Value) -> str:
    del equation
    return graph.emit("Min", graph.emit("Max", x, low), high)


def _to_result_shape(graph: Graph, equation: Equation, x: str, *sides: Value) -> str:
    del sides  # the shape of the result contains them
    return graph.reshaped(x, equation.outvars[0].aval.shape)


def _broadcast(graph: Graph, equation: Equation, x: Value, *sides: Value) -> str:
    del sides
    shape = equation.outvars[0].aval.shape
    dimensions, given = equation.params["broadcast_dimensions"], equation.invars[0].aval.shape
    thin = [1] * len(shape)
    for axis, side in zip(dimensions, given):
        thin[axis] = side
    if thin != list(given):
        x = graph.reshaped(x, thin)
    return graph.emit("Expand", x, graph.shape(shape)) if thin != list(shape) else x


def _transpose(graph: Graph, equation: Equation, x: str) -> str:
    return graph.emit("Transpose", x, perm=equation.params["permutation"])


def _concatenate(graph: Graph, equation: Equation, *parts: Value) -> str:
    return graph.emit("Concat", *parts, axis=equation.params["dimension"])


def _stack(graph: Graph, equation: Equation, *parts: Value) -> str:
    shape, axis = list(equation.outvars[0].aval.shape), equation.params["axis"]
    shape[axis] = 1
    return graph.emit("Concat", *(graph.reshaped(part, shape) for part in parts), axis=axis)


def _slice(graph: Graph, equation: Equation, x: str) -> str:
    starts, limits, strides = (equation.params[key] for key in ("start_indices", "limit_indices", "strides"))
    shape = equation.invars[0].aval.shape
    strides = strides or (1,) * len(shape)
    parts = zip(starts, limits, strides, shape)
    cut = [axis for axis, (start, limit, stride, side) in enumerate(parts) if (start, limit, stride) != (0, side, 1)]
    pick = [np.asarray([bounds[axis] for axis in cut], np.int64) for bounds in (starts, limits)]
    steps = np.asarray([strides[axis] for axis in cut], np.int64)
    return graph.emit("Slice", x, *pick, np.asarray(cut, np.int64), steps)


def _reverse(graph: Graph, equation: Equation, x: str) -> str:
    axes = np.asarray(equation.params["dimensions"], np.int64)
    ends = np.full_like(axes, np.iinfo(np.int64).min)
    return graph.emit("Slice", x, np.full_like(axes, -1), ends, axes, np.full_like(axes, -1))


def _split(graph: Graph, equation: Equation, x: str) -> list[str]:
    ends = np.cumsum(equation.params["sizes"])
    axis = np.asarray([equation.params["axis"]])
    bounds = zip(ends - equation.params["sizes"], ends)
    return [graph.emit("Slice", x, np.asarray([start]), np.asarray([end]), axis) for start, end in bounds]


def _pad(graph: Graph, equation: Equation, x: str, value: Value) -> str:
    """Negative padding crops; padding between elements is not supported."""
    before, after, between = zip(*equation.params["padding_config"])
    if any(between):
        raise UserError("--format=onnx: the network pads between elements, which cannot be converted")
    return graph.emit("Pad", x, np.asarray([*before, *after], np.int64), value)


def _iota(graph: Graph, equation: Equation, *sides: Value) -> str:
    """Numbers along one axis, broadcast to the shape; the axis may be the batch."""
    del sides
    shape, axis = equation.outvars[0].aval.shape, equation.params["dimension"]
    if isinstance(shape[axis], int):
        numbers: Value = np.arange(shape[axis])
    else:
        stop = graph.emit("Squeeze", graph.side(shape[axis]))
        numbers = graph.emit("Range", np.asarray(0, np.int64), stop, np.asarray(1, np.int64))
    thin = [side if index == axis else 1 for index, side in enumerate(shape)]
    spread = graph.emit("Expand", graph.reshaped(numbers, thin), graph.shape(shape))
    return graph.emit("Cast", spread, to=helper.np_dtype_to_tensor_dtype(dtype_of(equation.params["dtype"])))


def _dim_as_value(graph: Graph, equation: Equation) -> str:
    number = graph.emit("Squeeze", graph.side(equation.params["dim"]))
    return graph.emit("Cast", number, to=helper.np_dtype_to_tensor_dtype(np.dtype(equation.outvars[0].aval.dtype)))


def _dot(graph: Graph, equation: Equation, a: Value, b: Value) -> str:
    (a_sum, b_sum), (a_batch, b_batch) = equation.params["dimension_numbers"]
    a_rank, b_rank = (len(atom.aval.shape) for atom in equation.invars)
    if (a_sum, b_sum, tuple(a_batch)) == ((a_rank - 1,), (0,), ()) and b_rank == 2:
        return graph.emit("MatMul", a, b)
    letters = iter(string.ascii_lowercase)
    a_names, b_names = [next(letters) for _ in range(a_rank)], [""] * b_rank
    for a_axis, b_axis in zip((*a_batch, *a_sum), (*b_batch, *b_sum)):
        b_names[b_axis] = a_names[a_axis]
    b_names = [name or next(letters) for name in b_names]
    out = [a_names[axis] for axis in a_batch]
    out += [name for axis, name in enumerate(a_names) if axis not in (*a_batch, *a_sum)]
    out += [name for axis, name in enumerate(b_names) if axis not in (*b_batch, *b_sum)]
    return graph.emit("Einsum", a, b, equation=f"{''.join(a_names)},{''.join(b_names)}->{''.join(out)}")


def _gather(graph: Graph, equation: Equation, table: Value, index: Value) -> str:
    """A slice at a constant index, or rows for indices `[...,1]`; the runtime reports rows out of range.

    jax turns slices into gathers if the batch size is symbolic.
    """
    numbers, sizes = equation.params["dimension_numbers"], equation.params["slice_sizes"]
    shape, axes = equation.invars[0].aval.shape, np.asarray(numbers.start_index_map, np.int64)
    if not isinstance(index, str) and index.ndim == 1:
        ends = [start + sizes[axis] for start, axis in zip(index, axes)]
        part = graph.emit("Slice", table, np.asarray(index, np.int64), np.asarray(ends, np.int64), axes)
        return graph.reshaped(part, equation.outvars[0].aval.shape)
    if numbers.start_index_map != (0,) or numbers.collapsed_slice_dims != (0,) or sizes != (1, *shape[1:]):
        raise UserError("--format=onnx: the network gathers more than rows, which cannot be converted")
    return graph.emit("Gather", table, graph.reshaped(index, equation.invars[1].aval.shape[:-1]), axis=0)


def _conv(graph: Graph, equation: Equation, x: Value, kernel: Value) -> str:
    params = equation.params
    layout, groups, holes = params["dimension_numbers"], params["feature_group_count"], params["lhs_dilation"]
    x = graph.emit("Transpose", x, perm=layout.lhs_spec)
    attributes: dict[str, Any] = {"group": groups}
    before, after = zip(*params["padding"])
    if isinstance(kernel, str):
        kernel = graph.emit("Transpose", kernel, perm=layout.rhs_spec)
    else:
        kernel = np.transpose(np.asarray(kernel), layout.rhs_spec)  # [O, I / groups, height, width]
    dense = params["rhs_dilation"] == (1, 1) and params["window_strides"] == (1, 1) and not isinstance(kernel, str)
    if params["batch_group_count"] != 1 or (holes != (1, 1) and not dense):
        raise UserError("--format=onnx: the network convolves in a way that has no ONNX form here")
    if holes == (1, 1):
        attributes |= {"strides": params["window_strides"], "dilations": params["rhs_dilation"]}
        y = graph.emit("Conv", x, kernel, pads=[*before, *after], **attributes)
    else:  # zeros between the pixels of x
        y = _conv_between(graph, x, kernel, before, after, {**attributes, "strides": holes})
    return graph.emit("Transpose", y, perm=[int(axis) for axis in np.argsort(layout.out_spec)])


def _conv_between(
    graph: Graph, x: str, kernel: np.ndarray, before: Sequence[int], after: Sequence[int], attributes: dict[str, Any]
) -> str:
    """The transposed convolution of `[B,I,h,w]` that equals a dilated one with the kernel `[O,I/groups,kh,kw]`."""
    groups, sides = attributes["group"], kernel.shape[2:]
    kernel = kernel[:, :, ::-1, ::-1].reshape(groups, -1, *kernel.shape[1:]).swapaxes(1, 2)
    starts = [side - 1 - pad for side, pad in zip(sides, before)]
    ends = [side - 1 - pad for side, pad in zip(sides, after)]
    return graph.emit(
        "ConvTranspose",
        x,
        kernel.reshape(-1, *kernel.shape[2:]),
        pads=[max(each, 0) for each in (*starts, *ends)],
        output_padding=[max(-each, 0) for each in ends],
        **attributes,
    )


RULES: Mapping[str, Rule] = {
    **{
        name: _plain(operator)
        for name, operator in {
            "add": "Add",
            "sub": "Sub",
            "mul": "Mul",
            "div": "Div",
            "max": "Max",
            "min": "Min",
            "pow": "Pow",
            "neg": "Neg",
            "exp": "Exp",
            "log": "Log",
            "tanh": "Tanh",
            "logistic": "Sigmoid",
            "erf": "Erf",
            "abs": "Abs",
            "sign": "Sign",
            "floor": "Floor",
            "sqrt": "Sqrt",
            "sin": "Sin",
            "cos": "Cos",
            "eq": "Equal",
            "lt": "Less",
            "le": "LessOrEqual",
            "gt": "Greater",
            "ge": "GreaterOrEqual",
            "and": "And",
            "or": "Or",
            "not": "Not",
            "copy": "Identity",
            "stop_gradient": "Identity",
        }.items()
    },
    "ne": _composed("Not", "Equal"),
    "rsqrt": _composed("Reciprocal", "Sqrt"),
    "erfc": lambda graph, _, x: graph.emit("Sub", np.float32(1), graph.emit("Erf", x)),
    "square": lambda graph, _, x: graph.emit("Mul", x, x),
    "integer_pow": _integer_pow,
    "convert_element_type": _convert,
    "select_n": _select,
    "clamp": _clamp,
    "reduce_sum": _reduce("ReduceSum"),
    "reduce_max": _reduce("ReduceMax"),
    "reduce_min": _reduce("ReduceMin"),
    "reshape": _to_result_shape,
    "squeeze": _to_result_shape,
    "expand_dims": _to_result_shape,
    "broadcast_in_dim": _broadcast,
    "transpose": _transpose,
    "concatenate": _concatenate,
    "stack": _stack,
    "slice": _slice,
    "rev": _reverse,
    "split": _split,
    "pad": _pad,
    "iota": _iota,
    "dim_as_value": _dim_as_value,
    "dot_general": _dot,
    "gather": _gather,
    "conv_general_dilated": _conv,
}
