"""A trained network teaches another one (distillation)."""

from hashlib import sha256
from pathlib import Path

import torch
from torch import Tensor, nn

from ..build import Trust, from_stored
from ..data import DataModule
from ..data.files.pictures import Pictures
from ..errors import UserError
from ..losses.distillation import Distillation
from ..runs.folder import followed
from ..runs.trained import opened
from ..text import enumerated
from .transfer import pictures_differ

SHOWN = 6  # names of classes in a message


class Teacher:
    """A trained network, whose answers a student learns besides the truth.

    It is no part of the student's learner, so that it is in none of its checkpoints.

    Args:
        network: images (N, C, H, W) -> logits; it does not learn any more.
        weight: Factor on the divergence from its answers, beside the loss.
    """

    def __init__(self, network: nn.Module, loss: Distillation, *, weight: float) -> None:
        self.network = network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
        self.loss, self.weight = loss, weight
        self.fingerprint = fingerprint(network)

    def count(self, mask: Tensor) -> Tensor:
        """(1,): what the sum is counted in, from masks (N, H, W)."""
        return self.loss.count(mask)

    def __call__(self, image: Tensor, logits: Tensor, mask: Tensor) -> Tensor:
        """(1,): the weighted sum, from the images and a student's logits for them."""
        with torch.no_grad():
            answers = self.network.to(image.device)(image)
        return self.weight * self.loss(logits, answers, mask)


def fingerprint(network: nn.Module) -> str:
    """A hash of the names and the numbers of a network's weights."""
    digest = sha256()
    for name, tensor in network.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def open_teacher(
    path: str, data: DataModule, pictures: Pictures | None, trust: Trust, *, loss: Distillation, weight: float
) -> Teacher:
    """The teacher in a checkpoint file, for a student of these data, whose images are like `pictures`.

    Raises:
        FileNotFoundError: if the file is gone.
        UserError: if it is damaged, or is for other classes or images.
    """
    file = followed(Path(path))
    if not file.is_file():
        raise FileNotFoundError(
            f"teacher={path}: it is not there any more; if it lies elsewhere now, type teacher=FILE"
        )
    trained = opened(file, trust)
    own, names = data.classes.names, trained.classes.names
    if names != own:
        reason = f"it knows {enumerated(names, SHOWN)}, and these data have {enumerated(own, SHOWN)}"
        raise UserError(f"teacher={path}: a teacher has the same classes in the same order: {reason}")
    others = Pictures.stored(trained.record.pictures)
    if trained.record.channels != data.channels or pictures_differ(pictures, others):
        raise UserError(f"teacher={path}: it was trained on images of other channels, another depth or other values")
    with from_stored(f"teacher={path}"):
        refuse_answers(trained.network, data)
    return Teacher(trained.network, loss, weight=weight)


def refuse_answers(network: nn.Module, data: DataModule) -> None:
    """Raises UserError for a stored network whose answers are not logits of the classes that its record names."""
    image = torch.zeros(1, data.channels, *data.crop, dtype=torch.uint8)
    expected = (1, len(data.classes), *data.crop)
    with torch.no_grad():
        answers = network(image)
    if not isinstance(answers, Tensor) or answers.shape != expected:
        found = tuple(answers.shape) if isinstance(answers, Tensor) else type(answers).__name__
        raise UserError(f"teacher: its logits are {found}, expected {expected} (images, classes, height, width)")
