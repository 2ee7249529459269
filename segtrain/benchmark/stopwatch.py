"""Time by the parts of a training step, taken while a training runs."""

import time
from collections import defaultdict
from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from torch.utils.flop_counter import FlopCounterMode

from ..training.bare import WARM_UP
from ..training.callbacks import Waiting
from ..training.learner import Learner

BETWEEN = "loop"  # what belongs to no part: Lightning's loop, callbacks
PARTS = {  # methods of a learner
    "colour": "recolored",
    "forward": "train_network",
    "backward": "manual_backward",
    "metric": "note",
    "clip": "on_before_optimizer_step",
}


class Stopwatch:
    """Attributes each moment to the innermost of the parts that are open.

    Of a GPU the moments are events, so that nothing waits for it: what counts is when it came to them.
    """

    def __init__(self, device: str) -> None:
        self.device = device
        self._open: list[str] = [BETWEEN]
        self._marks: list[tuple[str, Any]] = []  # what was going on until then, and a moment

    def start(self) -> None:
        """Forget what was measured, and begin."""
        self._marks = []
        self._mark()

    def enter(self, part: str) -> None:
        self._mark()
        self._open.append(part)

    def leave(self) -> None:
        self._mark()
        self._open.pop()

    def around(self, part: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """The same work, as a part."""

        @wraps(work)
        def timed(*args: Any, **kwargs: Any) -> Any:
            self.enter(part)
            try:
                return work(*args, **kwargs)
            finally:
                self.leave()

        return timed

    def seconds(self) -> dict[str, float]:
        """The time of each part since the start, until now."""
        self._mark()
        if self.device == "cuda":
            torch.cuda.synchronize()
        total: dict[str, float] = defaultdict(float)
        for (_, earlier), (part, later) in zip(self._marks, self._marks[1:], strict=False):
            total[part] += earlier.elapsed_time(later) / 1000 if self.device == "cuda" else later - earlier
        return dict(total)

    def _mark(self) -> None:
        moment: Any = time.perf_counter()
        if self.device == "cuda":
            moment = torch.cuda.Event(enable_timing=True)
            moment.record()
        self._marks.append((self._open[-1], moment))


class Watch(Callback):
    """Ends a training after so many seconds, and measures its steps but for the first ones.

    Attributes:
        steps: Number of steps that were measured.
        seconds: Time of each part, summed over these steps; `loop` is what belongs to no part.
        operations: Floating-point operations of a step; `None` where they cannot be counted.
        waited: Time for which these steps waited for their batches.
    """

    def __init__(self, learner: Learner, device: str, limit: float, waiting: Waiting, *, parts: bool) -> None:
        self.limit, self.stopwatch, self.waiting = limit, Stopwatch(device), waiting
        self.steps, self.seconds, self.waited = 0, dict[str, float](), 0.0
        self.operations: float | None = None
        self._counter: FlopCounterMode | None = None
        self._compute: Any = None  # how the learner computes, while the first step is counted
        if parts:
            self._watch(learner)
        self._parts = parts

    def _watch(self, learner: Learner) -> None:
        around = self.stopwatch.around
        learner.objective.count = around("divisor", learner.objective.count)
        learner.objective.sums = around("loss", learner.objective.sums)
        for part, method in PARTS.items():
            setattr(learner, method, around(part, getattr(learner, method)))
        if learner.average is not None:
            learner.average.update_parameters = around("average", learner.average.update_parameters)

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        if self._parts:
            (optimizer,) = trainer.optimizers
            optimizer.register_step_pre_hook(lambda *_: self.stopwatch.enter("optimiser"))
            optimizer.register_step_post_hook(lambda *_: self.stopwatch.leave())

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if self._parts and batch_idx == 0:
            self._compute, pl_module.train_network = pl_module.train_network, pl_module.network.__call__
            self._counter = FlopCounterMode(display=False)
            self._counter.__enter__()

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Count a step, and end the training if it was the last one that there is time for."""
        if self._counter is not None:
            self._counter.__exit__(None, None, None)
            self.operations, self._counter = self._counter.get_total_flops() or None, None
            pl_module.train_network = self._compute
        if batch_idx == WARM_UP - 1:
            self.stopwatch.start()
            self._began, self._waited_before = time.monotonic(), self.waiting.seconds
        if batch_idx >= WARM_UP:
            self.steps += 1
            self.waited = self.waiting.seconds - self._waited_before
            if time.monotonic() - self._began >= self.limit:
                trainer.should_stop = True

    def on_train_end(self, *_: Any) -> None:
        self.seconds = self.stopwatch.seconds()
