"""Parses the text of a compiled program (HLO): its instructions, and how often each computation runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

INSTRUCTION = re.compile(r"^\s*(ROOT )?%?([\w.-]+) = (\(.*?\)|\S+)\s+([a-z][a-z\d-]*)\(([^)]*)\)(.*)$")
COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.-]+) \(.*\{$")
CALLED = re.compile(r"\b(calls|to_apply|body|condition|true_computation|false_computation)=%?([\w.-]+)")
SEVERAL_CALLED = re.compile(r"\b(branch_computations|called_computations)=\{([^}]*)\}")
TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')


class Instruction(NamedTuple):
    """One line of HLO."""

    computation: str  # that contains it; "" outside of any
    root: bool  # whether its result is the result of the computation
    name: str
    result: str  # its type
    kind: str
    arguments: str  # between the parentheses
    attributes: str  # after them

    @property
    def operands(self) -> list[str]:
        """The names of its operands."""
        return re.findall(r"%([\w.-]+)", self.arguments)

    @property
    def calls(self) -> list[tuple[str, str]]:
        """The computations that it runs, each with the attribute that names it."""
        several = [(how, name) for how, names in SEVERAL_CALLED.findall(self.attributes) for name in _names(names)]
        return CALLED.findall(self.attributes) + several


class Turns(NamedTuple):
    """How often each computation runs in one run of the program."""

    of: Mapping[str, float]
    loops: int
    unknown: int  # loops with an unknown number of iterations, counted as one


def read_program(text: str) -> dict[str, list[Instruction]]:
    """The instructions of each computation, by the name of the computation."""
    program: dict[str, list[Instruction]] = {}
    for each in _instructions(text):
        program.setdefault(each.computation, []).append(each)
    return program


def count_turns(program: Mapping[str, Sequence[Instruction]]) -> Turns:
    """How often each computation runs. Nested loops multiply; each branch counts as if it were always taken."""
    callers: dict[str, list[tuple[str, float]]] = {}
    loops = unknown = 0
    for computation, instructions in program.items():
        for each in instructions:
            trips: float | None = 1.0
            if each.kind == "while":
                loops, trips = loops + 1, _trips(each, program)
                unknown += trips is None
            if not each.kind.endswith(("-done", "-update")):  # they repeat the names of what was started
                for _, called in each.calls:
                    callers.setdefault(called, []).append((computation, 1.0 if trips is None else trips))
    found: dict[str, float] = {}

    def turns(computation: str) -> float:
        if computation not in found:
            sites = callers.get(computation)
            found[computation] = 1.0 if sites is None else sum(turns(site) * trips for site, trips in sites)
        return found[computation]

    return Turns({computation: turns(computation) for computation in program}, loops, unknown)


def _trips(loop: Instruction, program: Mapping[str, Sequence[Instruction]]) -> float | None:
    """The iterations of a loop, from the compiler's annotation or else from its condition `counter < constant`.

    jax's scans count from 0 in steps of 1. TPU programs have no annotation.
    """
    noted = TRIPS.search(loop.attributes)
    if noted:
        return float(noted[1])
    condition = program.get(next((name for how, name in loop.calls if how == "condition"), ""), ())
    constants = {each.name: each.arguments for each in condition if each.kind == "constant"}
    test = next((each for each in condition if each.root), None)
    if test is None or test.kind != "compare" or "direction=LT" not in test.attributes:
        return None
    limit = constants.get(test.operands[-1], "")
    return float(limit) if limit.isdecimal() else None


def _names(text: str) -> list[str]:
    return [name.strip().lstrip("%") for name in text.split(",")]


def _instructions(text: str) -> Iterator[Instruction]:
    computation = ""
    for line in text.splitlines():
        begun = COMPUTATION.match(line)
        found = None if begun else INSTRUCTION.match(line)
        if begun:
            computation = begun[2]
        elif found:
            root, *parts = found.groups()
            yield Instruction(computation, bool(root), *parts)
