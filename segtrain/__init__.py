# pyright: strict
"""Trains networks that segment images."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["UserError", "__version__", "evaluate", "load", "predict", "train"]

if TYPE_CHECKING:
    from .api import evaluate, train
    from .errors import UserError
    from .inference.image import predict
    from .runs.trained import load

HOMES = {
    "UserError": "errors",
    "evaluate": "api",
    "load": "runs.trained",
    "predict": "inference.image",
    "train": "api",
}


def __getattr__(name: str) -> Any:  # importing segtrain must stay cheap: torch comes with the first use
    if name not in HOMES:
        raise AttributeError(f"module 'segtrain' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
