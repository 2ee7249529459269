"""Weights that a library fetches by their name."""

from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import shorten

from ..errors import UserError


@contextmanager
def downloading(weights: str) -> Iterator[None]:
    """Inside, a library downloads the weights of this name: where that fails, for whatever reason, a file is proposed.

    Libraries raise errors of urllib, requests, httpx and of their own, and RuntimeError for a wrong checksum.
    """
    try:
        yield
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        reason = shorten(f"{type(error).__name__}: {lines[0]}", 160)
        advice = "type the path of such a file instead, model.encoder.weights=FILE.safetensors or FILE.pth"
        raise UserError(f"weights={weights} cannot be downloaded ({reason}): {advice}") from error
