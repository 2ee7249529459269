"""What is counted of the loss."""

import torch
from torch import Tensor
from torchmetrics import Metric


class MeanLoss(Metric):
    """The mean loss, however the images are batched: of each term all sums over all counts, added up."""

    full_state_update = False
    sums: Tensor
    counts: Tensor

    def __init__(self, terms: int) -> None:
        super().__init__()
        for name in ("sums", "counts"):
            # float32 would round away what a batch adds to the sum over a large split
            self.add_state(name, default=torch.zeros(terms, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, sums: Tensor, counts: Tensor) -> None:
        """Add the sums and the counts (terms,) of some images."""
        self.sums += sums
        self.counts += counts

    def compute(self) -> Tensor:
        """The mean; NaN before anything was counted."""
        return (self.sums / self.counts).sum()


class FirstNotFinite(Metric):
    """The first step whose loss was NaN or infinite. It stays on the device, so that no step waits for the answer."""

    NEVER = torch.iinfo(torch.int64).max
    full_state_update = False
    step: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("step", default=torch.tensor(self.NEVER), dist_reduce_fx="min")

    def update(self, loss: Tensor, step: int) -> None:
        self.step = torch.where(loss.isfinite(), self.step, self.step.clamp(max=step))

    def compute(self) -> Tensor:
        """The number of the first such step, int64; `NEVER` if every loss was finite."""
        return self.step
