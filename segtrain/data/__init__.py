"""Data: from files, or from nothing, to batches."""

from .batches.augment import Augment
from .batches.module import DataModule
from .classes import ClassTable
from .folder import FolderData
from .shapes import ShapesData

__all__ = ["Augment", "ClassTable", "DataModule", "FolderData", "ShapesData"]
