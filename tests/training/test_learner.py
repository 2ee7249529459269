from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import DataLoader

from segtrain.losses import CrossEntropy
from segtrain.training.callbacks import Curves, Waiting
from segtrain.training.divergence import Diverged
from segtrain.training.learner import Learner, apply_color
from segtrain.training.schedules import poly

VOID, CLASSES = 9, 3
BATCH = 4


def batches(number: int, size: int = BATCH) -> Iterator[dict[str, torch.Tensor]]:
    """Batches whose images have very different shares of void."""
    generator = torch.Generator().manual_seed(0)
    for n in range(number):
        mask = torch.randint(0, CLASSES, (size, 6, 6), generator=generator)
        share = torch.linspace(0, 0.6, size)[:, None, None]
        mask[torch.rand(mask.shape, generator=generator) < share] = VOID
        yield {
            "image": torch.rand(size, 3, 6, 6, generator=generator),
            "mask": mask.to(torch.uint8),
            "key": torch.arange(n * size, (n + 1) * size),
            "color": torch.eye(3, 4).repeat(size, 1, 1),
        }


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, CLASSES, 1))


def learner(net: nn.Module, kind: type[Learner] = Learner, **changes: Any) -> Learner:
    settings = {
        "loss": CrossEntropy(weights=[1.0, 2.0, 0.5], label_smoothing=0.0, ignore_index=VOID),
        "optimizer": partial(torch.optim.SGD, lr=0.5),
        "schedule": lambda step, steps: 1.0,
        "steps": 10,
        "seed": 0,
        "class_names": ("a", "b", "c"),
        "void": VOID,
        "auxiliary_weight": 0.4,
        "ema": None,
    }
    return kind(net, **settings | changes)


def fit(module: Learner, loader: list[dict[str, torch.Tensor]], **settings: Any) -> Trainer:
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    trainer = Trainer(**{"accelerator": "cpu", "devices": 1, "max_epochs": 1, **quiet, **settings})
    dataloader = DataLoader(loader, batch_size=None)
    trainer.fit(module, dataloader, dataloader)
    return trainer


def by_hand(net: nn.Module, loader: list[dict[str, torch.Tensor]], lr: float = 0.5) -> nn.Module:
    """Plain SGD on the weighted cross entropy: the sum over the valid pixels of each batch, divided by their number."""
    weights = torch.tensor([1.0, 2.0, 0.5])
    for batch in loader:
        mask = batch["mask"].long()
        each = F.cross_entropy(net(batch["image"]), mask, weights, ignore_index=VOID, reduction="sum")
        net.zero_grad()
        (each / (mask != VOID).sum()).backward()
        with torch.no_grad():
            for parameter in net.parameters():
                parameter -= lr * parameter.grad
    return net


def assert_close(one: nn.Module, other: nn.Module) -> None:
    for (name, a), b in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, msg=name)


@pytest.mark.parametrize("number", [1, 2, 4])
def test_a_batch_in_pieces_is_divided_by_all_its_valid_pixels(number: int):
    loader = list(batches(5))
    net = network()
    fit(learner(net, pieces=number), loader)
    assert_close(net, by_hand(network(), loader))


def test_a_fused_optimiser_is_clipped_by_the_norm_of_all_gradients():
    loader, net, expected = list(batches(1)), network(), network()
    fit(learner(net, optimizer=partial(torch.optim.SGD, lr=0.5, fused=True), clip=0.01), loader)
    before = [p.detach().clone() for p in expected.parameters()]
    norm = torch.cat([(p - q).flatten() for p, q in zip(net.parameters(), before, strict=True)]).norm() / 0.5
    torch.testing.assert_close(norm.detach(), torch.tensor(0.01), rtol=1e-3, atol=0)


def test_an_all_void_batch_moves_nothing():
    net, loader = network(), list(batches(3))
    loader[1]["mask"][:] = VOID
    fit(learner(net), loader)
    assert_close(net, by_hand(network(), [loader[0], loader[2]]))


def test_training_on_void_alone_is_an_error():
    loader = list(batches(2))
    for batch in loader:
        batch["mask"][:] = VOID
    with pytest.raises(ValueError, match="every pixel of the validation images is void"):
        fit(learner(network()), loader)


def test_a_loss_that_is_not_finite_is_found_with_its_step():
    loader = list(batches(4))
    loader[2]["color"][:] = float("nan")  # poisons the images of the third step
    with pytest.raises(Diverged, match=r"the loss was not finite .* in step 3") as caught:
        fit(learner(network()), loader)
    assert caught.value.step == 2


def test_a_weight_that_is_not_finite_is_found():
    net = network()
    module = learner(net)
    module.trainer = SimpleNamespace(global_step=5)  # type: ignore[assignment]
    module.refuse_divergence()
    net[0].weight.data[0, 0, 0, 0] = float("inf")
    with pytest.raises(Diverged, match=r"the weight 0\.weight was not finite"):
        module.refuse_divergence()


class WithAuxiliary(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.main, self.auxiliary = network(), network()

    def forward(self, image: torch.Tensor) -> Any:
        return (self.main(image), self.auxiliary(image)) if self.training else self.main(image)


def test_an_auxiliary_head_learns_with_its_weight():
    loader, net = list(batches(3)), WithAuxiliary()
    fit(learner(net, auxiliary_weight=0.25), loader)
    assert_close(net.main, by_hand(network(), loader))
    assert_close(net.auxiliary, by_hand(network(), loader, lr=0.5 * 0.25))


class WithCoarse(WithAuxiliary):
    """One whose second head scores every other row and column."""

    auxiliary_stride = 2

    def forward(self, image: torch.Tensor) -> Any:
        return (self.main(image), self.auxiliary(image[..., ::2, ::2])) if self.training else self.main(image)


@pytest.mark.parametrize("pieces", [1, 2])
def test_a_coarse_auxiliary_head_learns_from_the_pixels_that_it_scores(pieces: int):
    loader, net = list(batches(3)), WithCoarse()
    fit(learner(net, auxiliary_weight=0.25, pieces=pieces), loader)
    coarse = [
        {**batch, "image": batch["image"][..., ::2, ::2], "mask": batch["mask"][..., ::2, ::2]} for batch in loader
    ]
    assert_close(net.main, by_hand(network(), loader))
    assert_close(net.auxiliary, by_hand(network(), coarse, lr=0.5 * 0.25))


def test_the_average_follows_the_weights_with_a_growing_decay():
    net, values = network(), []

    class Noted(Learner):
        def on_train_batch_end(self, *_: Any) -> None:
            values.append(net[0].weight.detach().clone())

    module = learner(net, Noted, ema=0.5)
    fit(module, list(batches(4)))
    expected = values[0]
    for n, value in enumerate(values[1:], start=1):
        decay = min(0.5, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay) * value
    torch.testing.assert_close(module.scored[0].weight, expected)
    assert module.scored is not module.network


class Waits(TorchDispatchMode):
    """Notes the operations for which a GPU's answer would be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if any(word in str(func) for word in ("local_scalar_dense", "bincount", "nonzero", "is_nonzero")):
            self.noted.append(str(func))
        return func(*args, **(kwargs or {}))


class Around(Callback):
    """Has each step taken inside of what is made for its number: all of it, from its batch to its last callback."""

    def __init__(self, make: Callable[[int], AbstractContextManager[Any]]) -> None:
        self.make, self.steps = make, 0

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        loop = trainer.fit_loop.epoch_loop
        advance = loop.advance

        def taken(*args: Any) -> None:
            with self.make(trainer.global_step):
                advance(*args)
            self.steps += 1

        loop.advance = taken


OPTIMIZERS = [partial(torch.optim.AdamW, lr=0.1, fused=True), partial(torch.optim.SGD, lr=0.1, fused=True)]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("pieces", [1, 2])
def test_a_training_step_never_waits_for_the_device(optimizer: Any, pieces: int):
    waits = Waits()
    around = Around(lambda step: waits)
    module = learner(WithAuxiliary(), ema=0.9, clip=1.0, pieces=pieces, optimizer=optimizer)
    callbacks = [around, Curves(4, BATCH, Waiting())]
    fit(module, list(batches(3)), max_steps=9, num_sanity_val_steps=0, callbacks=callbacks)
    assert around.steps == 3
    assert waits.noted == []


@contextmanager
def waiting_is_an_error(step: int) -> Iterator[None]:
    """But for the first steps, in which kernels are chosen and memory is taken."""
    torch.cuda.set_sync_debug_mode("error" if step >= 2 else "default")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_training_step_never_waits_for_a_gpu(optimizer: Any):
    around = Around(waiting_is_an_error)
    module = learner(WithAuxiliary(), ema=0.9, clip=1.0, optimizer=optimizer)
    callbacks = [around, Curves(7, BATCH, Waiting())]
    settings = {"accelerator": "gpu", "precision": "bf16-mixed", "max_steps": 9, "num_sanity_val_steps": 0}
    fit(module, list(batches(6)), callbacks=callbacks, **settings)
    assert around.steps == 6


@pytest.mark.parametrize(("compile", "mode"), [(True, None), ("reduce-overhead", "reduce-overhead")])
def test_a_compiled_network_learns_the_same(monkeypatch: pytest.MonkeyPatch, compile: bool | str, mode: str | None):
    chosen, whole = [], torch.compile

    def traced(call: Callable[..., Any], mode: str | None = None) -> Callable[..., Any]:
        chosen.append(mode)
        return whole(call, backend="eager", fullgraph=True)

    monkeypatch.setattr(torch, "compile", traced)
    results = {}
    for way in (False, compile):
        module = learner(network(), compile=way)
        fit(module, list(batches(3)))
        results[way] = module.state_dict()
    assert chosen == [mode]
    assert results[compile].keys() == results[False].keys()
    assert all(value.equal(results[False][name]) for name, value in results[compile].items())


def test_the_learning_rate_follows_the_schedule_step_by_step():
    rates: list[float] = []

    class Noted(Learner):
        def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
            rates.append(optimizer.param_groups[0]["lr"])
            super().on_before_optimizer_step(optimizer)

    schedule = partial(poly, warmup=0.25, power=1.0)
    fit(learner(network(), Noted, schedule=schedule, steps=8), list(batches(8)))
    assert rates == pytest.approx([0.5 * schedule(step, 8) for step in range(8)])


def test_weight_decay_spares_biases_and_batch_norms():
    net = nn.Sequential(nn.Conv2d(3, CLASSES, 1), nn.BatchNorm2d(CLASSES))
    module = learner(net, optimizer=partial(torch.optim.SGD, lr=0.1, weight_decay=0.01))
    decayed, spared = module.configure_optimizers()["optimizer"].param_groups
    assert [p.ndim for p in decayed["params"]] == [4]
    assert [p.ndim for p in spared["params"]] == [1, 1, 1]
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.01, 0.0)


def test_dropout_depends_on_seed_and_batch_alone():
    def trained(seed: int) -> nn.Module:
        net = nn.Sequential(network(), nn.Dropout(0.5))
        torch.manual_seed(torch.seed() % 1000)  # whatever was drawn before
        fit(learner(net, seed=seed), list(batches(3)))
        return net

    assert all(torch.equal(a, b) for a, b in zip(trained(0).parameters(), trained(0).parameters(), strict=True))
    assert not torch.equal(next(trained(0).parameters()), next(trained(1).parameters()))


def test_colours_are_mixed_as_the_matrix_says_and_clipped():
    image = torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 3, 1, 1)
    swap = torch.tensor([[[0.0, 1, 0, 0.5], [1, 0, 0, -0.5], [0, 0, 2, 0]]])
    assert apply_color(image, swap).flatten().tolist() == pytest.approx([0.7, 0.0, 1.0])


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_colours_keep_all_bits_of_deep_images_in_any_precision(kind: torch.dtype):
    values = torch.arange(33000, 33800, dtype=torch.int32).to(torch.uint16)
    image = values.view(1, 1, 1, -1).expand(1, 3, 1, -1).contiguous()
    colors = torch.eye(3, 4)[None]
    exact = apply_color(image, colors)
    with torch.autocast("cpu", kind):
        assert torch.equal(apply_color(image, colors), exact)
    assert (exact[0, 0, 0] * 65535).round().tolist() == values.tolist()


def test_values_beyond_white_stay_where_white_means_nothing():
    image = torch.tensor([-3.0, 0.5, 7.0]).view(1, 1, 1, 3)
    assert apply_color(image, torch.eye(1, 2)[None], clamp=False).flatten().tolist() == [-3.0, 0.5, 7.0]


@pytest.fixture
def published() -> Callable[..., dict[str, float]]:
    def validate(loader: list[dict[str, torch.Tensor]]) -> dict[str, float]:
        module = learner(network())
        quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
        trainer = Trainer(accelerator="cpu", devices=1, enable_model_summary=False, **quiet)
        trainer.validate(module, DataLoader(loader, batch_size=None), verbose=False)
        return module.shown

    return validate


def test_a_validation_publishes_every_tag_that_is_defined(published: Callable[..., dict[str, float]]):
    loader = list(batches(2))
    for batch in loader:
        batch["mask"][batch["mask"] == 2] = 1  # class c never occurs in the truth, and may in the prediction
    shown = published(loader)
    assert {"IoU/val", "loss/val", "accuracy/val", "IoU_class/val/a", "IoU_class/val/b"} <= shown.keys()
    assert "IoU/train" not in shown


def test_the_validation_loss_is_the_mean_over_all_valid_pixels(published: Callable[..., dict[str, float]]):
    loader, total, pixels = list(batches(3)), 0.0, 0
    for batch in loader:
        mask = batch["mask"].long()
        weights = torch.tensor([1.0, 2.0, 0.5])
        total += F.cross_entropy(network()(batch["image"]), mask, weights, ignore_index=VOID, reduction="sum").item()
        pixels += int((mask != VOID).sum())
    assert published(loader)["loss/val"] == pytest.approx(total / pixels)
