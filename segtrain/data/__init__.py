"""A folder on disk becomes batches. The way of a mask through the rooms, with what goes in and what comes out:

    layouts     a folder -> OpenFolder: every file listed once, and which image belongs to which mask in which split
    files       an image file -> an array of pixels; a mask of whatever kind -> an array of the numbers stored in it
    survey      all pairs -> Survey: sizes, depths and the numbers in every mask, read once and remembered
    proposal    the masks' numbers, a class file -> the classes.yaml that is lacking (for `inspection`)
    classes     classes.yaml -> ClassTable: the numbers stored in a mask -> class indices
    findings    the pairs, their Survey, the ClassTable -> what is wrong, with file names
    folder      settings -> FolderData: a folder, its classes, its splits (shapes: without files; public: by name)
    batches     a pair -> an augmented crop, or the whole image -> a batch for the learner

`color` and `workers` know nothing of the others: colours as 24-bit numbers, and processes that read.
"""

from .batches.augment import Augment
from .batches.module import DataModule
from .classes import ClassTable
from .folder import FolderData
from .shapes import ShapesData

__all__ = ["Augment", "ClassTable", "DataModule", "FolderData", "ShapesData"]
