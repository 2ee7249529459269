"""A data set looked at as a whole, for `check` and before a training.

inspect      an opened folder -> Inspection: what all files hold, what the masks mean, what is wrong
description  Inspection -> the classes.yaml and splits.csv that a training needs
rivals       the other readings of a folder -> whether they hold the same, and what else they hold
questions    Inspection -> what a person has to decide before anything is written
text         Inspection -> what `check` prints
training     the same look before the first step, where that does not take long
"""

from .inspect import inspect
from .text import findings_csv
from .training import before_training

__all__ = ["before_training", "findings_csv", "inspect"]
