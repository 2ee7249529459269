"""Data: from files, or from nothing, to batches."""

from .classes import ClassTable
from .folder import FolderData
from .geometry import Augment
from .module import DataModule
from .public import PublicData
from .shapes import ShapesData

__all__ = ["Augment", "ClassTable", "DataModule", "FolderData", "PublicData", "ShapesData"]
