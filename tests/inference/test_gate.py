from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from segtrain.inference.gate import compare, cut

VOID = 255


class Network(nn.Module):
    """Three classes by the colour of a pixel, with a batch norm that has seen other images."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.norm, self.last = nn.BatchNorm2d(3), nn.Conv2d(3, 3, 3, padding=1)
        with torch.no_grad():
            self.norm.running_mean.copy_(torch.tensor([120.0, 130.0, 125.0]))  # pyright: ignore[reportOptionalMemberAccess]
            self.norm.running_var.fill_(70.0**2)  # pyright: ignore[reportOptionalMemberAccess]

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.norm(x.float()))


def images(number: int = 4) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    made = []
    for _ in range(number):
        level = torch.randint(0, 160, (3, 1, 1), generator=generator)
        image = (level + torch.randint(0, 90, (3, 40, 50), generator=generator)).to(torch.uint8)
        mask = torch.randint(0, 3, (40, 50), generator=generator).to(torch.uint8)
        mask[:4] = VOID
        made.append((image, mask))
    return made


class Changed(nn.Module):
    """What an exporter may have made of a network."""

    def __init__(self, network: Network, change: Callable[[Network, Tensor], Tensor]) -> None:
        super().__init__()
        self.network, self.change = network, change

    def forward(self, x: Tensor) -> Tensor:
        return self.change(self.network, x)


def frozen_size(network: Network, x: Tensor) -> Tensor:
    logits = network(x[..., :40, :50])
    rows, columns = (
        torch.arange(length).clamp(max=limit - 1) for length, limit in zip(x.shape[-2:], logits.shape[-2:], strict=True)
    )
    return logits[..., rows, :][..., columns]


def batch_statistics(network: Network, x: Tensor) -> Tensor:
    x = x.float()
    norm = network.norm
    return network.last(nn.functional.batch_norm(x, None, None, norm.weight, norm.bias, training=True))


def wrong_mean(network: Network, x: Tensor) -> Tensor:
    return network(x.float() - 20)


def permuted_classes(network: Network, x: Tensor) -> Tensor:
    return network(x)[:, [1, 0, 2]]


def permuted_channels(network: Network, x: Tensor) -> Tensor:
    return network(x.flip(1))


def low_precision(network: Network, x: Tensor) -> Tensor:
    return network(x).half().float() + 0.0


def test_the_network_itself_passes() -> None:
    network = Network().eval()
    verdict = compare(network, network, images(), VOID, 3)
    assert verdict.problem is None
    assert [check.what for check in verdict.checks[:3]] == [
        "whole images",
        "64 x 64, one at a time",
        "64 x 64, 3 at a time",
    ]
    assert verdict.checks[0].pixels == 4 * 40 * 50
    assert verdict.miou == verdict.other


@pytest.mark.parametrize("change", [frozen_size, batch_statistics, wrong_mean, permuted_classes, permuted_channels])
def test_what_exporters_do_wrong_does_not_pass(change: Callable[[Network, Tensor], Tensor]) -> None:
    network = Network().eval()
    assert compare(network, Changed(network, change), images(), VOID, 3).problem is not None


def test_the_last_digits_may_differ() -> None:
    network = Network().eval()
    verdict = compare(network, Changed(network, low_precision), images(), VOID, 3)
    assert verdict.problem is None


def test_a_batch_that_is_not_answered_as_its_images_are_does_not_pass() -> None:
    network = Network().eval()

    def mixed(network: Network, x: Tensor) -> Tensor:
        logits = network(x)
        return logits + (len(x) > 1) * logits.flip(0)

    assert "3 at a time" in str(compare(network, Changed(network, mixed), images(), VOID, 3).problem)


def test_what_decides_is_said_in_a_table() -> None:
    network = Network().eval()
    rows = compare(network, Changed(network, permuted_classes), images(1), VOID, 3).rows()
    assert rows[0] == ["compared", "pixels", "equal", "needed"]
    assert rows[1][:2] == ["whole images", "2,000"]
    assert rows[-1][0] == "mIoU"


def test_a_part_goes_on_at_the_beginning_of_the_image() -> None:
    image = torch.arange(6).view(1, 2, 3)
    assert cut(image, (3, 4), 1)[0].tolist() == [[4, 5, 3, 4], [1, 2, 0, 1], [4, 5, 3, 4]]


@pytest.mark.parametrize(
    ("difference", "rows", "offset", "passes"),
    [
        (1e-6, 1, 0.0, True),
        (1e-2, 1, 0.0, False),  # more than rounding
        (1e-6, 64, 0.0, False),  # everywhere
        (1e-2, 64, -1e9, False),  # beside a score of which that is the rounding
    ],
)
def test_scores_of_few_pixels_that_are_equal_but_for_rounding_may_turn_around_in_a_batch(
    difference: float, rows: int, offset: float, passes: bool
) -> None:
    """In the first pixels of some rows two classes have the same scores, but for a difference whose sign depends on the
    size of the batch."""

    def tied(network: Network, x: Tensor) -> Tensor:
        low, middle, high = network(x).unbind(1)
        sign = 1 if len(x) == 1 else -1
        first = torch.zeros_like(low)
        first[:, :rows, 0] = 1
        high = torch.where(first > 0, middle + sign * difference, high)
        return torch.stack([torch.where(first > 0, middle - 9, low) + offset, middle, high], 1)

    network = Changed(Network(), tied).eval()
    verdict = compare(network, network, images(), VOID, 3)
    assert (verdict.problem is None) == passes
