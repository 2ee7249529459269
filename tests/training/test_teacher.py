import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from segtrain.losses.distillation import Distillation
from segtrain.training.learner import Learner
from segtrain.training.teacher import Teacher, fingerprint
from tests.commands.conftest import TINY
from tests.training.test_encoder import InTwo
from tests.training.test_learner import VOID, assert_close, batches, fit, learner, network


def other_network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 3, 1))


def teacher(net: nn.Module, weight: float) -> Teacher:
    return Teacher(net, Distillation(temperature=2.0, void=VOID), weight=weight)


def taught_by_hand(student: nn.Module, loader: list[dict[str, Any]], weight: float) -> nn.Module:
    """Plain SGD on the weighted cross entropy and the divergence, each a mean over the valid pixels of a batch."""
    weights, net = torch.tensor([1.0, 2.0, 0.5]), other_network()
    for batch in loader:
        mask, image = batch["mask"].long(), batch["image"]
        valid, logits = mask != VOID, student(image)
        each = F.cross_entropy(logits, mask, weights, ignore_index=VOID, reduction="sum")
        soft, answers = F.log_softmax(logits / 2, 1), F.softmax(net(image) / 2, 1).detach()
        divergence = 4 * (F.kl_div(soft, answers, reduction="none").sum(1) * valid).sum()
        student.zero_grad()
        ((each + weight * divergence) / valid.sum()).backward()
        with torch.no_grad():
            for parameter in student.parameters():
                parameter -= 0.5 * parameter.grad
    return student


@pytest.mark.parametrize("pieces", [1, 2, 4])
def test_a_teachers_answers_count_beside_the_loss_over_the_whole_batch(pieces: int):
    loader, net = list(batches(4)), network()
    fit(learner(net, teacher=teacher(other_network(), 0.7), pieces=pieces), loader)
    assert_close(net, taught_by_hand(network(), loader, 0.7))


def test_a_student_comes_near_to_the_answers_of_its_teacher():
    def distance(weight: float) -> float:
        net, loader = network(), list(batches(5)) * 4
        fit(learner(net, teacher=teacher(other_network(), weight)), loader)
        student, answers = (each(loader[0]["image"]).softmax(1) for each in (net, other_network()))
        return (student - answers).abs().mean().item()

    assert distance(3.0) < 0.5 * distance(0.0)


def test_a_teacher_does_not_learn_and_is_in_no_state_of_its_student():
    net = InTwo()
    before = fingerprint(net)
    module = learner(network(), teacher=teacher(net, 1.0))
    expected = learner(network()).state_dict().keys()
    fit(module, list(batches(3)))
    assert fingerprint(net) == before
    assert module.state_dict().keys() == expected
    assert all(weight.grad is None for weight in net.parameters())


def test_a_teacher_sees_the_colours_that_its_student_sees():
    seen: list[torch.Tensor] = []

    class Looks(nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            seen.append(image)
            return image

    loader = list(batches(1))
    loader[0]["color"] = torch.eye(3, 4).flip(0).repeat(4, 1, 1) * 0.5
    fit(learner(Looked(seen), Learner, teacher=teacher(Looks(), 1.0)), loader)
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], loader[0]["image"])


class Looked(nn.Module):
    def __init__(self, seen: list[torch.Tensor]) -> None:
        super().__init__()
        self.net, self.seen = network(), seen

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.seen.append(image)
        return self.net(image)


def test_the_loss_that_is_shown_is_without_the_teachers_part():
    """So that it can be compared with that of the validation, and of other runs."""
    shown = []
    for taught in (None, teacher(other_network(), 100.0)):
        module = learner(network(), teacher=taught)
        fit(module, list(batches(1)))
        shown.append(float(module.train_loss.compute()))
    assert shown[0] == pytest.approx(shown[1])


def test_a_fingerprint_is_that_of_the_weights():
    one, other = InTwo(), InTwo()
    assert fingerprint(one) == fingerprint(other)
    other.encoder[1].running_mean[3] += 2**-20
    assert fingerprint(one) != fingerprint(other)


# --- a teacher in a file ----------------------------------------------------------------------------------------------

Run = Callable[..., int]


@pytest.fixture
def first(segtrain: Run, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The record of a trained run `first`."""
    assert segtrain("train", *TINY, "train.steps=3", "run_dir=first") == 0
    capsys.readouterr()
    return json.loads(torch.load("first/checkpoints/best.ckpt", weights_only=True)["segtrain"]["record"])


def write_teacher(record: dict[str, Any], **changes: Any) -> None:
    """`other.ckpt`: the first run's, with another record."""
    content = torch.load("first/checkpoints/best.ckpt", weights_only=True)
    content["segtrain"]["record"] = json.dumps({**record, **changes})
    torch.save(content, "other.ckpt")


@pytest.mark.slow
def test_a_teacher_of_other_classes_or_images_and_a_strangers_are_refused_in_one_line(
    segtrain: Run, first: dict[str, Any], capsys: pytest.CaptureFixture[str]
):
    turned = {**first["classes"], "classes": first["classes"]["classes"][::-1]}
    wrong = [
        ({"classes": turned}, "a teacher has the same classes in the same order: it knows cross, ring"),
        ({"channels": 1}, "it was trained on images of other channels, another depth or other values"),
        ({"model": {"_target_": "os.system", "command": "touch here"}}, "_target_ 'os.system' is not a shipped one"),
    ]
    for changes, message in wrong:
        write_teacher(first, **changes)
        assert segtrain("train", *TINY, "teacher=other.ckpt", "run_dir=taught") == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    assert not Path("taught").exists()
    assert not Path("here").exists()


@pytest.mark.slow
def test_a_run_goes_on_with_its_own_teacher_alone_wherever_that_is_now(
    segtrain: Run, first: dict[str, Any], capsys: pytest.CaptureFixture[str]
):
    assert segtrain("train", *TINY, "teacher=first", "run_dir=taught") == 0
    assert "a teacher's answers count too: first/checkpoints/best.ckpt" in capsys.readouterr().out

    def refused(*words: str) -> str:
        assert segtrain("train", *words) == 2
        return capsys.readouterr().err

    assert segtrain("train", "resume=taught") == 0
    assert "the teacher is not that of the run" in refused("resume=taught", "teacher=null")
    assert "the teacher is not that of the run" in refused("resume=taught", "teacher=taught")
    assert "the teacher is not that of the run" in refused("resume=first", "teacher=first")
    assert "train.teacher_weight=3 would change the result" in refused("resume=taught", "train.teacher_weight=3")
    shutil.move("first", "moved")
    assert "it is not there any more; if it lies elsewhere now, type teacher=FILE" in refused("resume=taught")
    assert segtrain("train", "resume=taught", "teacher=moved") == 0
