"""Images of one size are computed at once on a GPU."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from segtrain.data.classes import ClassTable
from segtrain.data.files.images import Picture
from segtrain.inference.windows import Windows
from segtrain.prediction.sight import Found, Sight, Subject, in_groups
from segtrain.prediction.written import Saver, Target

CLASSES = ClassTable.from_spec({"classes": [{"name": name} for name in "abc"]})


def found(name: str, height: int, width: int, dtype: torch.dtype = torch.uint8) -> Found:
    generator = torch.Generator().manual_seed(ord(name))
    pixels = torch.randint(0, 256, (3, height, width), generator=generator).to(dtype)
    return Found(Subject(name, Picture(pixels)), Path(f"{name}.png"), [])


def saver(folder: Path) -> Saver:
    return Saver(Target(folder, folder, ["mask"], "index", 1, "npy"), CLASSES)


class Network(nn.Module):
    """A convolution of fractions of white."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.convolution = nn.Conv2d(3, len(CLASSES), 3, padding=1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.convolution(image.float() / 255)


def test_images_of_one_shape_that_follow_one_another_are_a_group() -> None:
    images = [found(name, 4, 6) for name in "abc"]
    images += [found("d", 6, 4), found("e", 4, 6), found("f", 4, 6, torch.uint16), found("g", 4, 6, torch.uint16)]
    groups = in_groups(images, lambda subject: 2)
    assert ["".join(found.subject.name for found in group) for group in groups] == ["ab", "c", "d", "e", "fg"]


def test_a_group_is_handed_out_before_more_than_it_needs_is_read() -> None:
    read = []

    def images():
        for name in "abcd":
            read.append(name)
            yield found(name, 4, 6)

    for group in in_groups(images(), lambda subject: 1):
        assert read[-1] == group[0].subject.name


def test_a_cpu_computes_each_by_itself_and_a_gpu_as_many_as_validations_do(monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = found("a", 256, 256).subject, found("b", 1100, 1000).subject
    assert Sight(Network(), Windows()).together(small) == 1
    gpu = SimpleNamespace(parameters=lambda: iter([SimpleNamespace(is_cuda=True)]))
    on_gpu = Sight(gpu, Windows())  # type: ignore[arg-type]
    assert (on_gpu.together(small), on_gpu.together(large)) == (16, 1)


def test_a_group_has_nearly_the_results_of_each(tmp_path: Path) -> None:
    sight, subjects = Sight(Network(), Windows()), [found(name, 20, 30).subject for name in "abc"]
    together = sight.predicted(subjects, saver(tmp_path))
    for subject, result in zip(subjects, together, strict=True):
        (alone,) = sight.predicted([subject], saver(tmp_path))
        assert (result.mask == alone.mask).all()
        assert np.abs(result.confidence.astype(int) - alone.confidence).max() <= 1  # sums may round differently
        assert (result.preview == subject.image.preview).all()
    assert len({result.mask.tobytes() for result in together}) == 3


@pytest.mark.gpu
def test_on_a_gpu_a_group_has_nearly_the_results_of_each(tmp_path: Path) -> None:
    sight = Sight(Network().cuda(), Windows())
    subjects = [found(name, 200, 300).subject for name in "abc"]
    assert sight.together(subjects[0]) > 1
    for subject, result in zip(subjects, sight.predicted(subjects, saver(tmp_path)), strict=True):
        (alone,) = sight.predicted([subject], saver(tmp_path))
        assert (result.mask == alone.mask).mean() > 0.999
        assert np.abs(result.confidence.astype(int) - alone.confidence).max() <= 1
