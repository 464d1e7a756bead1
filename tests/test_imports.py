"""The law of the house: imports only point down the tree, and only some rooms know Flax or jax."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parent.parent / "jaxgan"

# from the bottom up; a room may import from its own line and from those above it
FLOORS = [
    ["errors"],
    ["system"],
    ["fields"],
    ["config"],
    ["game", "media", "weights"],
    ["schedules", "data"],
    ["images", "layers"],
    ["losses", "augment"],
    ["regularizers"],
    ["models", "metrics"],
    ["tasks"],
    ["parallel"],
    ["checkpoints", "stability"],
    ["reporting"],
    ["training", "exporting"],
    ["building"],
    ["evaluators"],
    ["inference", "planning"],
    ["cli"],
    ["jobs"],
    ["commands"],
    ["main", "__init__"],
]
LEVEL = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
NEVER = {  # beyond the order of the floors
    "models": {"losses", "tasks", "training", "regularizers"},
    "tasks": {"models"},
    "evaluators": {"training"},
    "metrics": {"models"},
    "training": {"tasks", "models", "losses"},
}
FLAX = {"layers", "models", "game"}
NO_JAX = {"data", "weights", "media", "config", "fields", "system", "stability", "main", "errors", "__init__"}
IMPORTLIB = {"building"}


def files():
    return sorted(path for path in ROOT.rglob("*.py"))


def room_of(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path):
    """Every module imported in a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module == "jaxgan":
                yield from (f"jaxgan.{alias.name}" for alias in node.names)
            else:
                yield node.module or ""


def trespasses(room, module):
    """Why a room may not import a module, or None."""
    top, *rest = module.split(".")
    if top == "jaxgan" and rest:
        other = rest[0]
        if LEVEL[other] > LEVEL[room]:
            return f"{room} is below {other}"
        if other in NEVER.get(room, ()):
            return f"{room} never imports {other}"
        if LEVEL[other] == LEVEL[room] and other != room:
            return f"{room} is beside {other}"
    if top == "flax" and room not in FLAX:
        return f"{room} knows no Flax"
    if top in ("jax", "optax") and room in NO_JAX:
        return f"{room} knows no jax"
    if module == "importlib" and room not in IMPORTLIB:
        return "only the builder imports by name"
    return None


@pytest.mark.quick
@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path):
    room = room_of(path)
    assert room in LEVEL, f"{room} has no floor: give it one"
    wrong = {module: why for module in imports(path) if (why := trespasses(room, module))}
    assert not wrong


@pytest.mark.quick
def test_the_law_sees_trespasses():
    assert trespasses("models", "jaxgan.losses.adversarial")
    assert trespasses("tasks", "jaxgan.models.dcgan")
    assert trespasses("losses", "flax.linen")
    assert trespasses("data", "jax.numpy")
    assert trespasses("layers", "jaxgan.training")
    assert trespasses("tasks", "importlib")
    assert not trespasses("commands", "jaxgan.training.loop")
