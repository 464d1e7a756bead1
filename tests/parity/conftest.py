"""Parity with published PyTorch packages; skipped if the extra `[parity]` is not installed.

torchvision does not import beside the torch that is used here, so the packages get a stand-in for the
names that they only import.
"""

import importlib
import importlib.util
import sys
import types

NAMES = ("torchvision", "torchvision.transforms", "torchvision.transforms.functional", "torchvision.datasets")


class StandIn(types.ModuleType):
    """A module that has any attribute and does nothing."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


def torchvision_imports():
    try:
        importlib.import_module("torchvision")
    except Exception:
        return False
    return True


if importlib.util.find_spec("torch") is None:
    collect_ignore_glob = ["test_*.py"]
elif not torchvision_imports():
    for name in NAMES:
        module = StandIn(name)
        module.__path__ = []
        sys.modules[name] = module
        if "." in name:
            parent, _, child = name.rpartition(".")
            setattr(sys.modules[parent], child, module)
