"""A pickle machine that imports and calls nothing: it builds dicts, lists, numbers and text, and records other names.

A pickle is a program that may call anything it can name. Here a name is never imported: it becomes `Named`, and its
instances become `Inert`. Only the few harmless functions of `CALLS` are called.
"""

from __future__ import annotations

import dataclasses
import pickletools
from collections.abc import Callable, Mapping
from typing import IO, Any

from jaxgan.errors import UserError
from jaxgan.system.plain import plain

MOST_STEPS = 1_000_000  # opcodes and moved items per pickle; a training checkpoint of 1,000 tensors has 100,000
DEAR = {"GLOBAL": 6, "STACK_GLOBAL": 6, "REDUCE": 3, "NEWOBJ": 3, "NEWOBJ_EX": 3, "EMPTY_SET": 2, "FROZENSET": 2}
MOST_INTEGER = 2**64
HARMFUL = {  # modules that files of weights never need, but attacks use
    "ctypes",
    "importlib",
    "marshal",
    "nt",
    "os",
    "pip",
    "posix",
    "pty",
    "runpy",
    "shutil",
    "socket",
    "subprocess",
    "sys",
    "timeit",
    "webbrowser",
}
BUILTIN = {"builtins", "__builtin__"}
HARMFUL_BUILTINS = {"__import__", "apply", "breakpoint", "compile", "eval", "exec", "execfile", "file", "input", "open"}


@dataclasses.dataclass(slots=True, frozen=True)
class Named:
    """A class or function that a pickle names."""

    module: str
    name: str

    def __str__(self) -> str:
        return plain(f"{self.module}.{self.name}", 120)


@dataclasses.dataclass(slots=True, eq=False)
class Inert:
    """A stand-in for an object of any class: the name of the class, and the items and state that it was given."""

    kind: str
    items: dict[str | int, Any] = dataclasses.field(default_factory=dict)
    state: Any = None


class Machine:
    """Runs one pickle. `calls`: the functions by (module, name); `refer`: resolves a persistent id.

    Keys of dicts are text or integers; a class, None, a float or a bool as a key becomes its text. Raises UserError for
    other keys, for names of HARMFUL, and for a pickle that takes too many steps.
    """

    def __init__(self, calls: Mapping[tuple[str, str], Callable[..., Any]], refer: Callable[[Any], Any]):
        self._calls, self._refer = calls, refer
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []  # the stacks below each mark
        self._memo: dict[int, Any] = {}
        self._steps = 0

    def run(self, file: IO[bytes]) -> Any:
        """The object of the pickle at the file's position, which moves past it."""
        start, most = file.tell(), 0
        argument: Any
        for opcode, argument, _ in pickletools.genops(file):
            name = opcode.name
            self._spend(DEAR.get(name, 1))
            if name in CONSTANTS:
                self._stack.append(CONSTANTS[name])
            elif name in VALUES:
                self._stack.append(argument)
            elif name in ("BINGET", "LONG_BINGET"):
                self._stack.append(self._memo[argument])
            elif name in ("BINPUT", "LONG_BINPUT"):
                self._memo[argument], most = self._stack[-1], max(most, argument)
            elif name == "MEMOIZE":
                self._memo[len(self._memo)] = self._stack[-1]
            elif name == "STOP":
                break
            elif name not in ("PROTO", "FRAME"):
                self._step(name, argument)
        if most > file.tell() - start:
            raise UserError("it uses memo numbers that are too large")
        return self._stack.pop()

    def _spend(self, steps: int) -> None:
        self._steps += steps
        if self._steps > MOST_STEPS:
            raise UserError(f"it takes more than {MOST_STEPS:,} steps to read, too many for weights")

    def _step(self, name: str, argument: Any) -> None:
        stack = self._stack
        if name in MAKERS:
            stack.append(MAKERS[name]())
        elif name == "MARK":
            self._below.append(stack)
            self._stack = []
        elif name in SHORT_TUPLES:
            count = SHORT_TUPLES[name]
            if len(stack) < count:
                raise UserError("it takes more objects than it has built")
            stack[-count:] = [tuple(stack[-count:])]
        elif name == "POP":
            stack.pop()
        elif name == "POP_MARK":
            self._to_mark()
        elif name in ("TUPLE", "LIST", "DICT", "FROZENSET", "APPENDS", "SETITEMS", "ADDITEMS"):
            self._gather(name, self._to_mark())
        elif name in ("SETITEM", "APPEND"):
            items = [stack.pop() for _ in range(2 if name == "SETITEM" else 1)][::-1]
            self._gather(f"{name}S", items)
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            words = argument.split(" ", 1) if name == "GLOBAL" else [stack.pop() for _ in range(2)][::-1]
            stack.append(_named(*words))
        elif name in ("REDUCE", "NEWOBJ", "NEWOBJ_EX"):
            keywords = stack.pop() if name == "NEWOBJ_EX" else {}
            arguments = stack.pop()
            stack.append(self._made(stack.pop(), arguments, keywords))
        elif name == "BUILD":
            state = stack.pop()
            _change(stack[-1], state)
        elif name == "BINPERSID":
            stack.append(self._refer(stack.pop()))
        else:
            raise UserError(f"it has the opcode {name}, which files of weights do not use: refused")

    def _to_mark(self) -> list[Any]:
        items, self._stack = self._stack, self._below.pop()
        self._spend(len(items))
        return items

    def _gather(self, name: str, items: list[Any]) -> None:
        """Builds an object from the items, or adds them to the object below them."""
        stack = self._stack
        if name == "TUPLE":
            stack.append(tuple(items))
        elif name == "LIST":
            stack.append(items)
        elif name == "DICT":
            stack.append(_table(items))
        elif name == "FROZENSET":
            stack.append(Inert("frozenset"))
        elif name == "APPENDS" and isinstance(stack[-1], list):
            stack[-1].extend(items)
        elif name == "SETITEMS" and isinstance(stack[-1], dict | Inert):
            into = stack[-1]
            (into if isinstance(into, dict) else into.items).update(_table(items))
        elif not isinstance(stack[-1], Inert):
            raise UserError("it changes an object that is neither a list nor a dict: refused")

    def _made(self, maker: object, arguments: object, keywords: object) -> Any:
        if not isinstance(maker, Named | Inert) or not isinstance(arguments, tuple) or not isinstance(keywords, dict):
            raise UserError("it calls something that is neither a class nor a function: refused")
        if isinstance(maker, Inert):
            return Inert(maker.kind)
        self._spend(len(arguments))
        call = self._calls.get((maker.module, maker.name))
        if call is None:
            return Inert(str(maker))
        if maker.name == "OrderedDict" and arguments:  # as Python 2 wrote it: a list of pairs
            self._spend(len(arguments[0]) if isinstance(arguments[0], list | tuple) else 0)
        return call(*arguments)


def _named(module: object, name: object) -> Named:
    if not isinstance(module, str) or not isinstance(name, str):
        raise UserError("it has a name that is not text: refused")
    named, top = Named(module, name), module.partition(".")[0]
    if top in HARMFUL or (top in BUILTIN and name in HARMFUL_BUILTINS):
        raise UserError(f"it uses {named}, which is not part of a state dict: refused")
    return named


def _change(thing: object, state: object) -> None:
    """Sets the state of a stand-in, and ignores that of a dict, e.g. the versions of modules; others are refused."""
    if isinstance(thing, Inert):
        thing.state = state
    elif not isinstance(thing, dict):
        raise UserError("it changes an object that is not a dict: refused")


def _table(items: list[Any]) -> dict[str | int, Any]:
    if len(items) % 2:
        raise UserError("it has a dict with a key without a value")
    return {as_key(key): value for key, value in zip(items[::2], items[1::2])}


def as_key(key: object) -> str | int:
    """A key of a dict, checked before it is hashed. Raises UserError for other keys than text and numbers."""
    if type(key) is str:
        return key
    if type(key) is int and abs(key) < MOST_INTEGER:
        return key
    if key is None or type(key) in (bool, float):
        return f"<{key}>"
    if isinstance(key, Named | Inert):
        return f"<{key if isinstance(key, Named) else key.kind}>"
    if type(key) is bytes and len(key) < 1000:
        return f"<{key!r}>"
    raise UserError(f"a dict has a key that is {_article(key)}, expected text or an integer")


def _article(key: object) -> str:
    return "too large a number" if type(key) is int else f"a {type(key).__name__}"


CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
VALUES = {
    "BININT",
    "BININT1",
    "BININT2",
    "LONG1",
    "LONG4",
    "BINFLOAT",
    "BINUNICODE",
    "SHORT_BINUNICODE",
    "BINUNICODE8",
    "BINSTRING",
    "SHORT_BINSTRING",
    "BINBYTES",
    "SHORT_BINBYTES",
    "BINBYTES8",
    "BYTEARRAY8",
}
MAKERS: Mapping[str, Callable[[], Any]] = {
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
    "EMPTY_SET": lambda: Inert("set"),
}
SHORT_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
