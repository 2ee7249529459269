import time
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from segtrain.inference.windows import Windows
from segtrain.report import screen as report
from segtrain.scoring.scorer import Scorer
from segtrain.scoring.verdict import judge
from segtrain.training import callbacks
from tests.training.test_learner import batches, fit, learner, network


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that it is, in seconds."""
    now = [0.0]
    monkeypatch.setattr(callbacks.time, "perf_counter", lambda: now[0])
    return now


def waited(waiting: callbacks.Waiting, now: list[float], seconds: float) -> None:
    """The loop waits for a batch for so long."""
    waiting.start(callbacks.FETCHING)
    now[0] += seconds
    waiting.stop(callbacks.FETCHING)


def test_a_point_holds_the_mean_speed_and_the_share_of_waiting(now: list[float]):
    published: list[dict[str, float]] = []
    optimizer = SimpleNamespace(param_groups=[{"lr": 0.1}])
    trainer = SimpleNamespace(max_steps=100, optimizers=[optimizer], global_step=0)
    loss = SimpleNamespace(compute=lambda: 0.5, reset=lambda: None)
    shown: dict[str, float] = {}
    learner = SimpleNamespace(publish=published.append, train_loss=loss, refuse_divergence=lambda: None, shown=shown)
    waiting = callbacks.Waiting()
    curves = callbacks.Curves(log_steps=2, batch_size=8, waiting=waiting)

    def take_step() -> None:
        waited(waiting, now, 1.0)
        curves.on_train_batch_start()
        now[0] += 3.0
        trainer.global_step += 1
        curves.on_train_batch_end(trainer, learner)

    curves.on_train_start()
    now[0] += 100.0  # the first checkpoint is saved
    for _ in range(4):
        take_step()
    expected = {"loss/train": 0.5, "optim/lr": 0.1, "speed/images_per_second": 2.0, "speed/data_wait": 0.25}
    assert published == [expected, expected]
    curves.on_validation_start(trainer, learner)
    assert shown == {}  # the point is of this very step
    now[0] += 100.0  # a validation, its pictures, a checkpoint
    take_step()
    curves.on_validation_start(trainer, learner)
    assert shown == expected  # before its point is due
    now[0] += 100.0
    take_step()
    assert published == [expected] * 3


def test_lightning_tells_its_profiler_when_it_fetches_a_batch():
    class Slow(list[dict[str, Tensor]]):
        def __getitem__(self, index: int) -> dict[str, Tensor]:
            time.sleep(0.02)
            return super().__getitem__(index)

    waiting = callbacks.Waiting()
    fit(learner(network()), Slow(batches(5)), profiler=waiting, limit_val_batches=0)
    assert 5 * 0.02 <= waiting.seconds < 5


@pytest.mark.parametrize("terminal", [False, True])
def test_progress_says_scores_speed_and_time_left(monkeypatch: pytest.MonkeyPatch, terminal: bool):
    console = Console(force_terminal=terminal, width=160, record=True, highlight=False, soft_wrap=True)
    monkeypatch.setattr(report, "console", console)
    said: list[str] = []
    monkeypatch.setattr(report, "say", said.append)
    trainer = SimpleNamespace(global_step=0, max_steps=10)
    learner = SimpleNamespace(shown={})
    bar = callbacks.ProgressBar(steps_per_epoch=5)
    bar.on_train_start(trainer)
    trainer.global_step = 5
    learner.shown = {"IoU/val": 0.25, "loss/train": 0.5, "speed/images_per_second": 12.0}
    bar.on_validation_end(trainer, learner)
    bar.on_train_batch_end(trainer, learner)
    bar.on_train_end()
    assert said[0].startswith("epoch 1.0  step 5/10  IoU/val 0.2500  loss/train 0.5000  12.0 images/s  0:0")
    screen = console.export_text(clear=False)
    assert ("5/10" in screen and "loss 0.5000  IoU 0.2500  12.0 images/s" in screen) is terminal


def test_the_bar_shows_the_score_of_a_validation_at_once(monkeypatch: pytest.MonkeyPatch):
    console = Console(force_terminal=True, width=160, record=True)
    monkeypatch.setattr(report, "console", console)
    monkeypatch.setattr(report, "say", lambda text: None)
    trainer, learner = SimpleNamespace(global_step=5, max_steps=10), SimpleNamespace(shown={"IoU/val": 0.25})
    bar = callbacks.ProgressBar(steps_per_epoch=5)
    bar.on_train_start(trainer)
    bar.on_train_batch_end(trainer, learner)
    learner.shown["IoU/val"] = 0.125
    bar.on_validation_end(trainer, learner)
    bar.on_train_end()
    assert console.export_text().splitlines()[-1].count("IoU 0.1250") == 1


def test_a_speed_that_is_not_known_yet_is_left_out(monkeypatch: pytest.MonkeyPatch):
    said: list[str] = []
    monkeypatch.setattr(report, "say", said.append)
    trainer = SimpleNamespace(global_step=0, max_steps=10)
    bar = callbacks.ProgressBar(steps_per_epoch=5)
    bar.on_train_start(trainer)
    trainer.global_step = 2
    bar.on_validation_end(trainer, SimpleNamespace(shown={"IoU/val": 0.25}))
    assert said[0].startswith("epoch 0.4  step 2/10  IoU/val 0.2500  0:0")


def test_doubts_are_said_once_and_again_where_they_change(monkeypatch: pytest.MonkeyPatch):
    said: list[str] = []
    monkeypatch.setattr(callbacks, "say", said.append)
    doubts = callbacks.Doubts()
    nothing, good = [[934, 0], [66, 0]], [[930, 4], [6, 60]]
    for rows in (good, nothing, nothing, [[930, 4], [66, 0]], good, good):
        learner = SimpleNamespace(verdict=judge(torch.tensor(rows), ["ground", "crack"]), shown={})
        doubts.on_validation_end(None, learner)
    share = "crack (6.6 % of the pixels)"
    assert said == [
        f"  not found so far: {share}; IoU/val is no better than ground everywhere (0.4670)",
        "  each class is found now",
    ]


def test_a_long_wait_for_images_is_said_once(monkeypatch: pytest.MonkeyPatch):
    said: list[str] = []
    monkeypatch.setattr(callbacks, "say", said.append)
    doubts, good = callbacks.Doubts(), judge(torch.tensor([[930, 4], [6, 60]]), ["ground", "crack"])
    for share in (0.1, 0.45, 0.6):
        doubts.on_validation_end(None, SimpleNamespace(verdict=good, shown={"speed/data_wait": share}))
    (line,) = said
    assert line.startswith("  images are waited for in 45 % of the time: `")


def test_where_validations_are_rare_lines_in_between_say_how_far_it_is(monkeypatch: pytest.MonkeyPatch):
    now, said = [0.0], []
    monkeypatch.setattr(report.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(report, "say", said.append)
    trainer, learner = SimpleNamespace(global_step=0, max_steps=100), SimpleNamespace(shown={"loss/train": 0.5})
    bar = callbacks.ProgressBar(steps_per_epoch=10)
    bar.on_train_start(trainer)
    for step in range(1, 41):  # of two seconds each
        now[0], trainer.global_step = 2.0 * step, step
        bar.on_train_batch_end(trainer, learner)
        if step == 25:
            bar.on_validation_end(trainer, learner)
    assert said == [
        "epoch 0.5  step 5/100  loss/train 0.5000  3:10 left",
        "epoch 1.5  step 15/100  loss/train 0.5000  2:50 left",
        "epoch 2.5  step 25/100  loss/train 0.5000  2:30 left",
    ]


def test_a_long_validation_says_how_far_it_is_and_a_short_one_shows_it_alone(monkeypatch: pytest.MonkeyPatch):
    now, said = [0.0], []
    monkeypatch.setattr(report.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(report, "say", said.append)
    batches = SimpleNamespace(batch_sampler=[[0, 1], [2, 3]])
    trainer = SimpleNamespace(global_step=0, max_steps=100, val_dataloaders=batches)
    learner, shown = SimpleNamespace(shown={"IoU/val": 0.25}, windows=Windows()), []
    bar = callbacks.ProgressBar(steps_per_epoch=5)
    bar.on_train_start(trainer)
    now[0] = 9.0
    for step, seconds in ((10, 2.0), (20, 8.0)):  # of an image
        trainer.global_step = step
        bar.on_validation_start(trainer, learner)
        for _ in range(2):
            for done in (1.0, 2.0):
                now[0] += seconds
                learner.windows.watch(done)
                shown.append(bar.countdown.bar.tasks[0].fields["scores"])
            bar.on_validation_batch_end(trainer, learner, None, {"key": torch.arange(2)})
        bar.on_validation_end(trainer, learner)
        shown.append(bar.countdown.bar.tasks[0].fields["scores"])
    assert said == [
        "epoch 2.0  step 10/100  IoU/val 0.2500  2:33 left",
        "validating: 3 of 4, 0:08 left",
        "epoch 4.0  step 20/100  IoU/val 0.2500  3:16 left",
    ]
    times = ("0:06", "0:04", "0:02", "0:00")
    assert shown[:4] == [f"validating: {n} of 4, {left} left" for n, left in enumerate(times, 1)]
    assert shown[4] == shown[9] == "IoU 0.2500"


class Slow(nn.Module):
    """Takes five seconds of a clock."""

    def __init__(self, now: list[float]) -> None:
        super().__init__()
        self.now = now

    def forward(self, images: Tensor) -> Tensor:
        self.now[0] += 5
        return images[:, :2].float()


def test_inside_a_large_image_lines_say_how_far_the_scoring_is(monkeypatch: pytest.MonkeyPatch):
    now, said = [0.0], []
    monkeypatch.setattr(report.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(report, "say", said.append)
    scorer = Scorer(Slow(now), class_names=("a", "b"), void=255, windows=Windows(32, 0.0))
    trainer = SimpleNamespace(test_dataloaders=SimpleNamespace(batch_sampler=[[0], [1]]))
    bar = callbacks.ScoringBar()
    bar.on_test_start(trainer, scorer)
    for key in range(2):
        batch = {"image": torch.zeros(1, 3, 128, 64, dtype=torch.uint8), "key": torch.tensor([key])}
        assert len(list(scorer.answers(batch))) == 4  # of two windows each, after one as a sample
        bar.on_test_batch_end(trainer, scorer, None, batch)
    bar.on_test_end(trainer, scorer)
    list(scorer.answers(batch))  # a picture of the report
    assert said == [
        "scoring: 0 of 2 and 25 % of the next, 1:45 left",
        "scoring: 0 of 2 and 75 % of the next, 0:58 left",
        "scoring: 1 of 2 and 75 % of the next, 0:11 left",
    ]
