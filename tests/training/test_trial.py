import pytest
import torch
from torch import nn

from segtrain.data import Augment, ShapesData
from segtrain.errors import UserError
from segtrain.training import trial


def data(**settings: object) -> ShapesData:
    words = {"size": [16, 16], "train": 8, "val": 2, "test": 2, "variant": 0, "crop": [16, 16], "batch_size": 4}
    words |= {"workers": 0, "augment": Augment(scale=[0.5, 2.0], flip=0, brightness=0, contrast=0, saturation=0, hue=0)}
    return ShapesData(**{**words, **settings})


class Network(nn.Module):
    """Logits of so many classes, at 1 / `stride` of the image's size."""

    def __init__(self, classes: int, stride: int = 1) -> None:
        super().__init__()
        self.score = nn.Conv2d(3, classes, 1, stride)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.score(image.float())


class Narrow(Network):
    """Computes images of up to 16 columns."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        if image.shape[-1] > 16:
            raise RuntimeError("16 columns at most")
        return super().forward(image)


def test_what_segtrain_decides_may_not_be_set() -> None:
    trainer = {"gradient_clip_val": 1.0}
    trial.refuse_own({"data": {}, "trainer": trainer})
    with pytest.raises(UserError, match=r"data.seed is decided by segtrain"):
        trial.refuse_own({"data": {"seed": 1}, "trainer": trainer})
    with pytest.raises(UserError, match=r"trainer.gradient_clip_val=-1: expected null, or 0 or more"):
        trial.refuse_own({"data": {}, "trainer": {"gradient_clip_val": -1}})


@pytest.mark.parametrize(
    ("device", "pieces", "processes", "reason"),
    [
        ("cpu", 1, 1, "need an NVIDIA GPU, and there is none"),
        ("cuda", 2, 1, r"in 2 pieces \(trainer.accumulate_grad_batches\)"),
        ("cuda", 1, 2, r"for 2 processes \(trainer.devices\)"),
    ],
)
def test_graphs_are_for_whole_batches_on_one_gpu(
    monkeypatch: pytest.MonkeyPatch, device: str, pieces: int, processes: int, reason: str
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    trial.refuse_compile("reduce-overhead", "cuda", 1, 1)
    trial.refuse_compile(True, device, pieces, processes)
    with pytest.raises(UserError, match=f"train.compile=reduce-overhead: CUDA graphs .*{reason}: take false"):
        trial.refuse_compile("reduce-overhead", device, pieces, processes)


def test_nothing_is_compiled_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(UserError, match=r"train.compile=true: it needs a C compiler .* there is none: take false"):
        trial.refuse_compile(True, "cpu", 1, 1)


def test_a_batch_is_filled_and_shared_out_equally() -> None:
    trial.refuse_batch(data(), 2, 2)
    with pytest.raises(UserError, match=r"there are 8 training images; take 8 or fewer"):
        trial.refuse_batch(data(batch_size=9), 1, 1)
    with pytest.raises(UserError, match=r"batch_size=4 cannot be computed in 3 equal pieces"):
        trial.refuse_batch(data(), 3, 1)
    with pytest.raises(UserError, match=r"in 2 equal pieces .* in each of 4 processes"):
        trial.refuse_batch(data(), 2, 4)


@pytest.mark.parametrize(("crop", "fits"), [([32, 32], True), ([32, 33], False)])
def test_a_crop_may_be_as_large_as_augmentation_makes_an_image(crop: list[int], fits: bool) -> None:
    if fits:
        trial.refuse_crop(data(crop=crop))
    else:
        with pytest.raises(UserError, match=r"data.crop=\[32, 33\]: the largest training image is \[16, 16\]"):
            trial.refuse_crop(data(crop=crop))


def test_logits_have_the_size_of_the_image_and_a_channel_per_class() -> None:
    trial.try_network(Network(6), data(), 1)
    with pytest.raises(UserError, match=r"model.num_classes=5: the data have 6 classes"):
        trial.try_network(Network(5), data(), 1)
    with pytest.raises(UserError, match=r"its logits are \(4, 6, 8, 8\), expected \(4, 6, 16, 16\)"):
        trial.try_network(Network(6, stride=2), data(), 1)


class OwnScale(nn.Module):
    def __init__(self, number: torch.Tensor) -> None:
        super().__init__()
        self.scale = nn.Parameter(number)


def in_common() -> nn.Module:
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    network[1].weight = network[0].weight
    return network


@pytest.mark.parametrize(
    ("network", "changes", "message"),
    [
        (nn.Linear(2, 2), {"precision": "16-mixed"}, "not in 16-mixed: take trainer.precision=32-true or bf16-mixed"),
        (nn.Linear(2, 2), {"compile": True}, "not with train.compile=true: leave one of them out"),
        (nn.Linear(2, 2), {"engine": {"sync_batchnorm": True}}, "not with trainer.sync_batchnorm=true"),
        (OwnScale(torch.tensor(1.0)), {}, "scale is a single number, which cannot be shared out: take ddp"),
        (in_common(), {}, "parts of the network have weights in common: take ddp"),
    ],
)
def test_what_cannot_be_shared_out_is_refused(network: nn.Module, changes: dict, message: str) -> None:
    settings = {"engine": {}, "precision": "bf16-mixed", "compile": False}
    trial.refuse_sharing(OwnScale(torch.ones(1)), **settings)
    with pytest.raises(UserError, match=f"trainer.strategy=fsdp: {message}"):
        trial.refuse_sharing(network, **settings | changes)


def refuse_freeze(frozen: int, weights: str | None = None, *, has_learned: bool = False) -> None:
    """`trial.refuse_freeze` of a training of eight steps."""
    network = nn.ModuleDict({"encoder": nn.Conv2d(3, 3, 1)})
    model = {"_target_": "x.y", "encoder": {"_target_": "segtrain.models.resnet", "weights": weights}}
    trial.refuse_freeze(network, model, frozen, 8, has_learned=has_learned)


@pytest.mark.parametrize("frozen", [8, 9])
def test_an_encoder_that_would_stay_random_is_refused(frozen: int) -> None:
    with pytest.raises(UserError, match=r"the encoder would keep its random weights, .* in all of the 8 steps"):
        refuse_freeze(frozen)
    refuse_freeze(7)
    refuse_freeze(frozen, weights="X")
    refuse_freeze(frozen, has_learned=True)


def test_images_that_a_network_cannot_score_are_found() -> None:
    trial.try_scoring(Narrow(6), [(9, 16), (40, 8)], channels=3)
    with pytest.raises(UserError, match="model: it cannot score images of 8 x 17, as val has them: 16 columns at most"):
        trial.try_scoring(Narrow(6), [(9, 16), (8, 17), (10, 16), (1, 1)][:2], channels=3)
