"""Losses: how far logits are from a mask, as sums that can be shared out and added up again.

contract.py   what a loss is, how its terms become one number, and torch's own losses behind the contract
pixels.py     a value for each pixel: CrossEntropy, OHEM, Focal, BoundaryCrossEntropy
regions.py    a value for each image: Dice, Tversky, Lovasz
total.py      Sum, of several losses with a factor each
weights.py    factors for classes, from how often they occur
"""

from .pixels import OHEM, BoundaryCrossEntropy, CrossEntropy, Focal
from .regions import Dice, Lovasz, Tversky
from .total import Sum

__all__ = [  # what a configuration may name
    "OHEM",
    "BoundaryCrossEntropy",
    "CrossEntropy",
    "Dice",
    "Focal",
    "Lovasz",
    "Sum",
    "Tversky",
]
