"""From a section `{"name": "dcgan.Generator", **keyword arguments}` to the object: the only importlib of the suite.

The import path is the registry: a name is a module of the package of its kind and something public in it, so nothing
has to be listed anywhere. A section is the arguments of one constructor, whose annotations are its schema: where they
ask for a kind, such as `tuple[Degradation, ...]`, there are sections again, and what is `Given` the suite hands in.
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
from jaxgan.config.run import RunConfig, Section, path_of, without
from jaxgan.errors import UserError
from jaxgan.schedules import check_argument
from jaxgan.training.optimizers import check_optimizer


class Kind(NamedTuple):
    """What an annotation asks for, by its import path, and the package in which short names of it resolve."""

    asked: str
    package: str
    usual: str = ""  # the name of a section that says none


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

Change = Callable[[Any, str, str], Any]  # (section, kind, path) -> what is put in its place
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
    """The object that a section describes, made with its arguments and the objects that these describe.

    A function comes with its arguments in what holds it, such as a `Penalty`; what is no constructor is the named thing
    itself. `fill` gives arguments that the constructor takes and the section leaves out, `networks` those of its
    networks and of the sections in it; `path: Given[str]` is where the section stands, for errors.
    `allow` names packages beside jaxgan that a full path such as `mypackage.nets.Generator` may point into. Raises
    UserError, with `path` before the key, for a name or an argument that does not fit, and for a network that is
    missing.
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
    """Checks the name and the arguments of a section, and those of the sections in it, without making anything.

    With `fill`, what is handed in has to be in it. Raises UserError.
    """
    section = _named(section, kind, path)
    found = find(section, kind, path=path, allow=allow)
    schema = _schema(found, kind)
    networks = _networks(section, schema)
    own = [key for key, parameter in schema.items() if _is_own(parameter.annotation) or f"{key}_name" in schema]
    for key, value in _arguments(section).items():
        if key in networks and key not in own:
            raise UserError(f"{path}.{key}: a task gets its networks handed in; expected config.networks.{key}")
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
    """A section in which each section, the inner ones first, is what `change(section, parameters, path)` gives."""
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
    """What the `name` of a section names. Raises UserError for what is not there or of another kind."""
    name = section.get("name")
    if not isinstance(name, str) or "." not in name:
        raise UserError(f"{path}.name: got {name!r}, expected module.Name, such as {examples(kind)[0]!r}")
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
        raise UserError(f"{path}.name: {name!r} is not {_a(kind)}: {amiss}")
    if not allowed and not _is_one(found, kind, module_path):
        raise _unknown_name(name, kind, path)
    return found


def check_allowed(packages: Sequence[str]) -> None:
    """Imports packages beside jaxgan that names of a config may point into.

    Raises UserError for one that cannot be imported, and for one of a name that means something of jaxgan's.
    """
    for package in packages:
        top = package.partition(".")[0]
        if top == "jaxgan" or any(top in _modules(kind) for kind in KINDS):
            raise UserError(f"--allow={package}: jaxgan has a module named {top}; give the package another name")
        if not all(part.isidentifier() for part in package.split(".")):
            raise UserError(f"--allow: got {package!r}, expected the name of a package, such as mypackage")
        _imported(package, f"--allow={package}:")


def check_sections(config: RunConfig, allow: Sequence[str] = ()) -> None:
    """Checks the names and arguments of all sections without making anything. Raises UserError.

    `allow` names packages beside jaxgan that they may point into.
    """
    check_section(config.task, "task", path="config.task", allow=allow)
    networks = _wanted(config.task, allow)
    for name, section in config.networks.items():
        if name not in networks:
            told = f"{config.task['name']} uses no such network"
            raise UserError(f"config.networks.{name}: {told}; {nearest(name, networks)}")
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
    """The parameters of a constructor or function, with resolved annotations; Any for one that cannot be resolved."""
    hints, _ = _annotations(found)
    parameters = inspect.signature(found).parameters
    flax_own = ("parent", "name") if hasattr(found, "apply") else ()  # the fields of every flax Module
    return {name: p.replace(annotation=hints.get(name, Any)) for name, p in parameters.items() if name not in flax_own}


def unreadable(found: Any) -> list[str]:
    """The parameters of a constructor or function whose annotations cannot be resolved."""
    return [name for name in parameters_of(found) if name in _annotations(found)[1]]


def _annotations(found: Any) -> tuple[dict[str, Any], set[str]]:
    """Resolved annotations, and the names of the others. A field is resolved where its class stands."""
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
    """What a section that names this may say, and what is handed in: of a function also what holds it takes."""
    if inspect.isfunction(found):
        return {**parameters_of(found), **parameters_of(_asked(kind))}
    return parameters_of(found) if inspect.isclass(found) else {}


def _networks(section: Mapping[str, Any], schema: Parameters) -> dict[str, Any]:
    """The name in `config.networks` of each network that is handed in, by its parameter.

    It is the parameter's own; where the constructor takes the name too (`network_name` beside `network`), a section may
    say another: `network='critic'`.
    """
    handed = [key for key, each in schema.items() if given(each.annotation) and kind_in(each.annotation) == "network"]
    names = {key: schema[f"{key}_name"].default if f"{key}_name" in schema else key for key in handed}
    return {key: section.get(key, name) if f"{key}_name" in schema else name for key, name in names.items()}


def _wanted(task: Section, allow: Sequence[str]) -> dict[str, str]:
    """The names of the networks that a task and the parts of it use, each with the path of what needs it, if any does.

    Raises UserError for one that two parts use.
    """
    wanted: dict[str, str] = {}

    def look(section: dict[str, Any], schema: Parameters, path: str) -> dict[str, Any]:
        for key, name in _networks(section, schema).items():
            if name in wanted:
                raise UserError(f"{path}.{key}: got {name!r}, which another part has; name another of config.networks")
            wanted[name] = path if schema[key].default is inspect.Parameter.empty else ""
        return section

    changed(task, "task", look, path="config.task", allow=allow)
    return wanted


def _is_own(annotation: Any) -> bool:
    """Whether a section may say it: also a number that is handed in where it does not."""
    return not given(annotation) or domain_of(annotation) is not None or typing.get_args(annotation)[0] is int


def _named(section: Any, kind: str, path: str, *, optional: bool = False) -> Mapping[str, Any]:
    """The section of a value: what takes no arguments, a loss, may be given by its name alone."""
    usual = KINDS[kind].usual
    if kind == "loss" and not isinstance(section, Mapping):
        return {"name": section}
    if not isinstance(section, Mapping):
        told = f"a section{'' if usual else ' with a name'}{', or None' if optional else ''}"
        raise UserError(f"{path}: got {section!r}, expected {told}")
    return {"name": usual, **section} if usual else section


def _each(value: Any, annotation: Any, path: str, change: Change) -> Any:
    """A value of a section, with `change(part, kind, path)` for each part that its annotation asks for."""
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
    """The kind that an annotation asks for; None for values of a config's own."""
    if isinstance(annotation, type):
        return BY_ASKED.get(f"{annotation.__module__}.{annotation.__qualname__}")
    return next(filter(None, map(kind_in, typing.get_args(annotation))), None)


def _asking(annotation: Any) -> Any:
    """Of an annotation that asks for a kind, the alternative that does."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType, typing.Annotated):
        return _asking(next(each for each in typing.get_args(annotation) if kind_in(each)))
    return annotation


def _asked(kind: str) -> Any:
    """The protocol or the class that an annotation names to ask for a kind."""
    module, _, name = KINDS[kind].asked.rpartition(".")
    return getattr(importlib.import_module(module), name)


def _amiss(found: Any, kind: str) -> str:
    """Why something is not of a kind; empty where it is."""
    asked = _asked(kind)
    if "function" in inspect.get_annotations(asked):  # it holds one
        if not inspect.isfunction(found):
            return "it is no function"
        wants = any(given(parameter.annotation) for parameter in parameters_of(found).values())
        return "" if wants else "none of its parameters is annotated as Given"
    if not _is_protocol(asked):
        is_one = issubclass(found, asked) if inspect.isclass(found) else isinstance(found, asked)
        return "" if is_one else f"it is no {asked.__name__}"
    if not inspect.isclass(found):
        return "it is no class"
    bases = [base for base in asked.__mro__ if _is_protocol(base)]
    members = {name for base in bases for name in (*vars(base), *inspect.get_annotations(base)) if name[0] != "_"}
    there = {*dir(found), *(name for base in found.__mro__ for name in inspect.get_annotations(base))}
    return f"it has no {', '.join(sorted(members - there))}" if members - there else ""


def _is_protocol(kind: Any) -> bool:
    return getattr(kind, "_is_protocol", False)


def _is_one(found: Any, kind: str, module: str) -> bool:
    """Whether a name of a module is of a kind and stands there, and is not imported from elsewhere."""
    at_home = not (inspect.isclass(found) or inspect.isfunction(found)) or found.__module__ == module
    return at_home and not _amiss(found, kind)


def _arguments(section: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in section.items() if key != "name"}


def _imported(module: str, told: str, *, own: bool = False) -> types.ModuleType:
    """A module, of jaxgan's `own` or beside it.

    Raises UserError, `told` before it, where it cannot be imported; of a module beside jaxgan whatever its code does.
    """
    try:
        return importlib.import_module(module)
    except (Exception, SystemExit) as error:
        if own and not isinstance(error, ImportError):
            raise
        why = " ".join(str(error).split())
        raise UserError(f"{told} cannot be imported: {type(error).__name__}: {why}") from None


def _modules(kind: str) -> list[str]:
    package = importlib.import_module(KINDS[kind].package)
    return [module.name for module in pkgutil.iter_modules(package.__path__)]


def examples(kind: str) -> list[str]:
    """Every name of a kind."""
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
        hint = f"where {top} is a package of yours, --allow={top} lets names point into it"
    return UserError(f"{path}.name: {name!r} is not {_a(kind)}; {hint}")


def _a(kind: str) -> str:
    return f"a{'n' * (kind[0] in 'aeiou')} {kind}"
