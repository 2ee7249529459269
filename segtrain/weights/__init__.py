"""Weights in files, which may be anyone's: read without running anything, and fitted to a network."""

from .download import downloading
from .files import read_weights
from .fitting import fitted, without_prefix

__all__ = ["downloading", "fitted", "read_weights", "without_prefix"]
