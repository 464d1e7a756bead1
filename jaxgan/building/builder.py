"""Builds objects from sections `{"name": "dcgan.Generator", **keyword arguments}`: the suite's only use of importlib.

The import path is the registry: a name is a module in the package of its kind and a public name in that module, so
nothing has to be registered. A section gives the arguments of one constructor, whose annotations are its schema: an
argument annotated with a kind, e.g. `tuple[Degradation, ...]`, takes sections, and the suite passes those annotated as
`Given`.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
import pkgutil
import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from jaxgan.config.checking import nearest, unknown_key
from jaxgan.config.domains import NotNegativeNumber, domain_of, given
from jaxgan.config.older import NAMES
from jaxgan.config.run import RunConfig, Section, path_of, without
from jaxgan.errors import UserError
from jaxgan.schedules import check_argument


class Kind(NamedTuple):
    """A kind of object: the import path of its annotation, and the package in which its short names resolve."""

    asked: str
    package: str
    usual: str = ""  # the default name of its sections


KINDS = {
    "network": Kind("jaxgan.game.Network", "jaxgan.models"),
    "task": Kind("jaxgan.game.Task", "jaxgan.tasks"),
    "adversary": Kind("jaxgan.tasks.adversary.Adversary", "jaxgan.tasks", "adversary.Adversary"),
    "loss": Kind("jaxgan.game.AdversarialLoss", "jaxgan.losses"),
    "regularizer": Kind("jaxgan.tasks.penalty.Penalty", "jaxgan.regularizers"),
    "augment": Kind("jaxgan.game.Augmentation", "jaxgan.augment"),
    "degradation": Kind("jaxgan.game.Degradation", "jaxgan.augment"),
    "content": Kind("jaxgan.tasks.restoration.Content", "jaxgan.losses"),
    "backbone": Kind("jaxgan.tasks.restoration.Backbone", "jaxgan.tasks", "restoration.Backbone"),
    "evaluator": Kind("jaxgan.evaluators.evaluator.Evaluator", "jaxgan.evaluators"),
    "source": Kind("jaxgan.data.sources.Source", "jaxgan.data"),
}
BY_ASKED = {row.asked: kind for kind, row in KINDS.items()}

Change = Callable[[Any, str, str], Any]  # (section, kind, path) -> its replacement
Parameters = dict[str, inspect.Parameter]


def build(
    section: Any,
    kind: str,
    *,
    path: str = "config",
    fill: Mapping[str, Any] | None = None,
    networks: Mapping[str, Any] | None = None,
    allow: Sequence[str] = (),
) -> Any:
    """The object that a section describes, with the objects that its arguments describe.

    A function is returned with its arguments in its holder, e.g. a `Penalty`; a name that is not callable gives the
    named object itself. `fill` has arguments that the constructor takes and the section leaves out, `networks` the
    networks for it and for its inner sections; a parameter `path: Given[str]` gets the section's path, for errors.
    `allow` names further packages that a full path such as `mypackage.nets.Generator` may refer to. Raises UserError,
    with `path` before the key, for a name or an argument that does not fit, and for a missing network.
    """
    section, networks = _named(section, kind, path), networks or {}
    check_section(section, kind, path=path, allow=allow, fill=fill or {})
    found = find(section, kind, path=path, allow=allow)
    if not callable(found):
        return found
    schema = _schema(found, kind)
    build_part: Change = lambda part, kind, path: build(part, kind, path=path, networks=networks, allow=allow)  # noqa: E731
    arguments = {
        key: _each(value, schema[key].annotation, f"{path}.{key}", build_part)
        for key, value in _arguments(section).items()
    }
    if inspect.isfunction(found):
        own = {key: arguments.pop(key) for key in parameters_of(_asked(kind)) if key in arguments}
        return _asked(kind)(name=section["name"].rpartition(".")[2], function=found, arguments=arguments, **own)
    for key, name in _networks(section, schema).items():
        if name not in networks and schema[key].default is inspect.Parameter.empty:
            raise UserError(f"config.networks.{name} is missing: {path} needs it")
        if name in networks:
            arguments |= {key: networks[name], **({f"{key}_name": name} if f"{key}_name" in schema else {})}
    handed = {**(fill or {}), **({"path": path} if "path" in schema and given(schema["path"].annotation) else {})}
    filled = {key: value for key, value in handed.items() if key in schema and key not in arguments}
    return found(**filled, **arguments)


def check_section(
    section: Any, kind: str, *, path: str, allow: Sequence[str] = (), fill: Mapping[str, Any] | None = None
) -> None:
    """Checks the names and arguments of a section and its inner sections without building anything.

    With `fill`, all arguments that the suite passes must be in it. Raises UserError.
    """
    section = _named(section, kind, path)
    found = find(section, kind, path=path, allow=allow)
    schema = _schema(found, kind)
    networks = _networks(section, schema)
    own = [key for key, parameter in schema.items() if _is_own(parameter.annotation) or f"{key}_name" in schema]
    for key, value in _arguments(section).items():
        if key in networks and key not in own:
            raise UserError(f"{path}.{key}: networks of a task are no arguments of it, expected config.networks.{key}")
        if key not in own:
            raise unknown_key(path, key, own)
        _check_value(value, schema[key].annotation, f"{path}.{key}", allow)
    for key, parameter in schema.items():
        later = given(parameter.annotation) and (fill is None or inspect.isfunction(found) or key in networks)
        if parameter.default is parameter.empty and key not in section and key not in (fill or {}) and not later:
            raise UserError(f"{path}.{key} is missing")


def changed(
    section: Any,
    kind: str,
    change: Callable[[dict[str, Any], Parameters, str], Mapping[str, Any]],
    *,
    path: str,
    allow: Sequence[str] = (),
) -> Any:
    """A section with each section replaced, inner ones first, by the result of `change(section, parameters, path)`."""
    if not isinstance(section, Mapping):
        return section
    schema = _schema(find(_named(section, kind, path), kind, path=path, allow=allow), kind)
    change_part: Change = lambda part, kind, path: changed(part, kind, change, path=path, allow=allow)  # noqa: E731
    inner = {
        key: _each(value, schema[key].annotation, f"{path}.{key}", change_part) if key in schema else value
        for key, value in section.items()
    }
    return change(inner, schema, path)


def find(section: Mapping[str, Any], kind: str, *, path: str, allow: Sequence[str] = ()) -> Any:
    """The object that a section names. Raises UserError if it does not exist or is of another kind."""
    name = section.get("name")
    if not isinstance(name, str) or "." not in name:
        raise UserError(f"{path}.name: got {name!r}, expected module.Name, e.g. {examples(kind)[0]!r}")
    name = NAMES.get(name, name)
    module_name, _, attribute = name.rpartition(".")
    allowed = any(module_name == package or module_name.startswith(f"{package}.") for package in allow)
    module_path = module_name if allowed else f"{KINDS[kind].package}.{module_name}"
    if not allowed and module_name not in _modules(kind):
        raise _unknown_name(name, kind, path)
    module = _imported(module_path, f"{path}.name: {name!r}", own=not allowed)
    found = getattr(module, attribute, None)
    if attribute.startswith("_") or found is None:
        raise _unknown_name(name, kind, path)
    if allowed and (amiss := _amiss(found, kind)):
        raise UserError(f"{path}.name: {name!r} is not {_article(kind)}: {amiss}")
    if not allowed and not _is_one(found, kind, module_path):
        raise _unknown_name(name, kind, path)
    return found


def check_allowed(packages: Sequence[str]) -> None:
    """Imports further packages that names of a config may refer to.

    Raises UserError for one that cannot be imported, or whose name is that of a module of jaxgan.
    """
    for package in packages:
        top = package.partition(".")[0]
        if top == "jaxgan" or any(top in _modules(kind) for kind in KINDS):
            raise UserError(f"--allow={package}: jaxgan has a module named {top}; give the package another name")
        if not all(part.isidentifier() for part in package.split(".")):
            raise UserError(f"--allow: got {package!r}, expected the name of a package, e.g. mypackage")
        _imported(package, f"--allow={package}:")


def check_sections(config: RunConfig, allow: Sequence[str] = ()) -> None:
    """Checks the names and arguments of all sections without building anything. Raises UserError.

    `allow` names further packages that they may refer to.
    """
    from jaxgan.training.optimizers import check_optimizer  # not for loading a trained model

    check_section(config.task, "task", path="config.task", allow=allow)
    networks = _wanted(config.task, allow)
    for name, section in config.networks.items():
        if name not in networks:
            task = config.task["name"]
            raise UserError(f"config.networks.{name}: {task} uses no such network; {nearest(name, networks)}")
        check_section(section, "network", path=f"config.networks.{name}", allow=allow)
    for name, needs in networks.items():
        if needs and name not in config.networks:
            raise UserError(f"config.networks.{name} is missing: {needs} needs it")
    for name, data in config.sources.items():
        if data.source:
            check_section(data.source, "source", path=f"{path_of(name)}.source", allow=allow)
    for player, section in config.optimizers.items():
        check_optimizer(section, f"config.optimizers.{player}")
    for name, section in config.evaluators.items():
        check_section(without(section), "evaluator", path=f"config.evaluators.{name}", allow=allow)
    check_argument(config.ema.half_life_images, NotNegativeNumber, "config.ema.half_life_images")


def parameters_of(found: Any) -> Parameters:
    """The parameters of a constructor or function, with resolved annotations; Any if one cannot be resolved."""
    hints, _ = _annotations(found)
    parameters = inspect.signature(found).parameters
    flax_own = ("parent", "name") if hasattr(found, "apply") else ()  # the fields of every flax Module
    return {name: p.replace(annotation=hints.get(name, Any)) for name, p in parameters.items() if name not in flax_own}


def unreadable(found: Any) -> list[str]:
    """The parameters of a constructor or function whose annotations cannot be resolved."""
    return [name for name in parameters_of(found) if name in _annotations(found)[1]]


def _annotations(found: Any) -> tuple[dict[str, Any], set[str]]:
    """Resolved annotations, and the names of unresolved ones. Fields are resolved in the module of their class."""
    owners = (found,) if inspect.isfunction(found) else (found.__init__, *reversed(found.__mro__))
    hints: dict[str, Any] = {}
    amiss: set[str] = set()
    for owner in owners:
        scope = vars(sys.modules[inspect.unwrap(owner).__module__]) if hasattr(owner, "__module__") else {}
        for name, annotation in inspect.get_annotations(owner).items():
            alone = types.SimpleNamespace(__annotations__={name: annotation})
            try:
                hints |= typing.get_type_hints(alone, scope, include_extras=True)
                amiss.discard(name)
            except (NameError, TypeError, AttributeError):
                amiss.add(name)
    return hints, amiss


def _schema(found: Any, kind: str) -> Parameters:
    """The parameters that a section with this name may set or the suite passes; for a function also its holder's."""
    if inspect.isfunction(found):
        return {**parameters_of(found), **parameters_of(_asked(kind))}
    return parameters_of(found) if inspect.isclass(found) else {}


def _networks(section: Mapping[str, Any], schema: Parameters) -> dict[str, Any]:
    """The name in `config.networks` of each network that the suite passes, by its parameter.

    It is the name of the parameter. If the constructor also takes the name (`network_name` beside `network`), a section
    may choose another network: `network='critic'`.
    """
    handed = [key for key, each in schema.items() if given(each.annotation) and kind_in(each.annotation) == "network"]
    names = {key: schema[f"{key}_name"].default if f"{key}_name" in schema else key for key in handed}
    return {key: section.get(key, name) if f"{key}_name" in schema else name for key, name in names.items()}


def _wanted(task: Section, allow: Sequence[str]) -> dict[str, str]:
    """The networks that a task and its parts use, each with the path of the part that requires it (empty: optional).

    Raises UserError for one that two parts use.
    """
    wanted: dict[str, str] = {}

    def look(section: dict[str, Any], schema: Parameters, path: str) -> dict[str, Any]:
        for key, name in _networks(section, schema).items():
            if name in wanted:
                raise UserError(f"{path}.{key}: got {name!r}, which another part has, expected another network")
            wanted[name] = path if schema[key].default is inspect.Parameter.empty else ""
        return section

    changed(task, "task", look, path="config.task", allow=allow)
    return wanted


def _is_own(annotation: Any) -> bool:
    """Whether a section may set it; a section may also override a number that the suite would pass."""
    return not given(annotation) or domain_of(annotation) is not None or typing.get_args(annotation)[0] is int


def _named(section: Any, kind: str, path: str, *, optional: bool = False) -> Mapping[str, Any]:
    """The section of a value. A loss, which takes no arguments, may be given by its name alone."""
    usual = KINDS[kind].usual
    if kind == "loss" and not isinstance(section, Mapping):
        return {"name": section}
    if not isinstance(section, Mapping):
        expected = f"a section{'' if usual else ' with a name'}{', or None' if optional else ''}"
        raise UserError(f"{path}: got {section!r}, expected {expected}")
    return {"name": usual, **section} if usual else section


def _each(value: Any, annotation: Any, path: str, change: Change) -> Any:
    """A value of a section, with each inner section replaced by `change(part, kind, path)`."""
    kind = kind_in(annotation)
    optional = type(None) in typing.get_args(annotation)
    if kind is None or given(annotation) or (value is None and optional):
        return value
    asking = _asking(annotation)
    if typing.get_origin(asking) in (tuple, Sequence):
        if not isinstance(value, tuple):
            raise UserError(f"{path}: got {value!r}, expected a tuple of sections")
        return tuple(change(part, kind, f"{path}.{index}") for index, part in enumerate(value))
    if typing.get_origin(asking) is Mapping:
        if not isinstance(value, Mapping):
            raise UserError(f"{path}: got {value!r}, expected sections by name")
        return {name: change(part, kind, f"{path}.{name}") for name, part in value.items()}
    _named(value, kind, path, optional=optional)
    return change(value, kind, path)


def _check_value(value: Any, annotation: Any, path: str, allow: Sequence[str]) -> None:
    if kind_in(annotation) is None or given(annotation):
        check_argument(value, annotation if kind_in(annotation) is None else str, path)
    _each(value, annotation, path, lambda part, kind, path: check_section(part, kind, path=path, allow=allow))


def kind_in(annotation: Any) -> str | None:
    """The kind that an annotation stands for; None for plain values of a config."""
    if isinstance(annotation, type):
        return BY_ASKED.get(f"{annotation.__module__}.{annotation.__qualname__}")
    return next(filter(None, map(kind_in, typing.get_args(annotation))), None)


def _asking(annotation: Any) -> Any:
    """The alternative of an annotation that stands for a kind."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType, typing.Annotated):
        return _asking(next(each for each in typing.get_args(annotation) if kind_in(each)))
    return annotation


def _asked(kind: str) -> Any:
    """The protocol or class whose annotation stands for a kind."""
    module, _, name = KINDS[kind].asked.rpartition(".")
    return getattr(importlib.import_module(module), name)


def _amiss(found: Any, kind: str) -> str:
    """Why an object is not of a kind; empty if it is."""
    asked = _asked(kind)
    if "function" in inspect.get_annotations(asked):  # a holder of functions
        if not inspect.isfunction(found):
            return "it is not a function"
        wants = any(given(parameter.annotation) for parameter in parameters_of(found).values())
        return "" if wants else "none of its parameters is annotated as Given"
    if not _is_protocol(asked):
        is_one = issubclass(found, asked) if inspect.isclass(found) else isinstance(found, asked)
        return "" if is_one else f"it is not {_article(asked.__name__)}"
    if not inspect.isclass(found):
        return "it is not a class"
    bases = [base for base in asked.__mro__ if _is_protocol(base)]
    members = {name for base in bases for name in (*vars(base), *inspect.get_annotations(base)) if name[0] != "_"}
    there = {*dir(found), *(name for base in found.__mro__ for name in inspect.get_annotations(base))}
    return f"it has no {', '.join(sorted(members - there))}" if members - there else ""


def _is_protocol(kind: Any) -> bool:
    return getattr(kind, "_is_protocol", False)


def _is_one(found: Any, kind: str, module: str) -> bool:
    """Whether an object in a module is of a kind and defined there, not imported from elsewhere."""
    at_home = not (inspect.isclass(found) or inspect.isfunction(found)) or found.__module__ == module
    return at_home and not _amiss(found, kind)


def _arguments(section: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in section.items() if key != "name"}


def _imported(module: str, prefix: str, *, own: bool = False) -> types.ModuleType:
    """Imports a module; `own`: of jaxgan.

    Raises UserError, beginning with `prefix`, if it cannot be imported; for modules outside jaxgan, for any error.
    """
    try:
        return importlib.import_module(module)
    except (Exception, SystemExit) as error:
        if own and not isinstance(error, ImportError):
            raise
        why = " ".join(str(error).split())
        raise UserError(f"{prefix} cannot be imported: {type(error).__name__}: {why}") from None


def _modules(kind: str) -> list[str]:
    package = importlib.import_module(KINDS[kind].package)
    return [module.name for module in pkgutil.iter_modules(package.__path__)]


def examples(kind: str) -> list[str]:
    """All names of a kind."""
    names = []
    for module_name in _modules(kind):
        module_path = f"{KINDS[kind].package}.{module_name}"
        module = importlib.import_module(module_path)
        public = [name for name in vars(module) if not name.startswith("_")]
        names += [f"{module_name}.{n}" for n in public if _is_one(getattr(module, n), kind, module_path)]
    return names


def _unknown_name(name: str, kind: str, path: str) -> UserError:
    known = examples(kind)
    near = difflib.get_close_matches(name, known, 1, 0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(known)}"
    top = name.partition(".")[0]
    if top.isidentifier() and top not in sys.stdlib_module_names and importlib.util.find_spec(top):
        hint = f"if {top} is your own package, --allow={top} lets names refer to it"
    return UserError(f"{path}.name: {name!r} is not {_article(kind)}; {hint}")


def _article(noun: str) -> str:
    return f"a{'n' * (noun[0].lower() in 'aeiou')} {noun}"
