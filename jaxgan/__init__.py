"""jaxgan: a GAN suite in JAX. `jaxgan.load(workdir)` returns a trained model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxgan.inference.model import Model, load

__all__ = ["Model", "load"]
__version__ = "0.2.0"


def __getattr__(name: str) -> Any:
    if name in __all__:  # imports jax, so it is done on first use
        from jaxgan.inference import model

        return getattr(model, name)
    raise AttributeError(f"module 'jaxgan' has no attribute {name!r}")
