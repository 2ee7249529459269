from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segtrain.errors import UserError
from segtrain.inference import windows
from segtrain.inference.image import logits_of, predict
from segtrain.inference.reach import Reach
from segtrain.inference.windows import Windows, averaged, core_of, exact, falling_off, nearer, spans, starts
from segtrain.models.ensemble import Mirrored

from .test_reach import small


class Context(nn.Module):
    """Two classes by the mean over the whole image, so that windows answer otherwise."""

    def forward(self, x: Tensor) -> Tensor:
        x = x.float()
        return torch.cat([x[:, :1], x[:, :1].mean((2, 3), keepdim=True).expand_as(x[:, :1])], 1)


def whole(pieces: Iterator[tuple[slice, slice, Tensor]], size: tuple[int, int]) -> Tensor:
    """The answer (1, classes, H, W) that pieces make up together, each pixel once."""
    found: list[tuple[slice, slice, Tensor]] = list(pieces)
    result = torch.full((1, found[0][2].shape[1], *size), torch.nan, dtype=found[0][2].dtype)
    for rows, columns, answer in found:
        assert result[..., rows, columns].isnan().all()
        result[..., rows, columns] = answer
    assert not result.isnan().any()
    return result


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("size", [(250, 131), (97, 300), (256, 256)])
def test_windows_give_the_mask_of_the_whole_image(
    size: tuple[int, int], mirrored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    network: nn.Module = small(depths=(1, 1)).double()
    network = Mirrored(network) if mirrored else network
    image = torch.randint(0, 256, (3, *size), dtype=torch.uint8)
    expected = predict(network, image).mask
    sizes, compute = [], partial(logits_of, network)
    monkeypatch.setattr(windows, "SURE", 0)
    monkeypatch.setattr(windows, "FITS", int(150**2 * Windows().known(network, image[None], compute).cost))
    network.register_forward_hook(lambda _, inputs, __: sizes.append(inputs[0].shape[-2:].numel()))
    assert torch.equal(predict(network, image).mask, expected)
    assert len(expected.unique()) > 1
    assert len(sizes) > 4
    assert max(sizes[2:]) <= 150**2  # but for the two images by which it is measured


def test_exact_windows_give_the_logits_of_the_whole_image() -> None:
    network, image = small(depths=(1, 1)).double(), torch.rand(1, 3, 120, 77, dtype=torch.float64)
    with torch.inference_mode():
        parts = whole(exact(network, image, Reach(halo=32, grid=4), core=24), (120, 77))
        torch.testing.assert_close(parts, network(image))


def test_the_spans_cover_a_side_once_and_begin_on_the_grid() -> None:
    for length in (1, 2048, 2049, 5000):
        parts = list(spans(length, Reach(halo=96, grid=32), 2048))
        assert [i for part in parts for i in range(part.kept.start, part.kept.stop)] == list(range(length))
        for part in parts:
            assert part.window.start % 32 == 0
            assert part.window.start + part.inner.start == part.kept.start
            assert part.window.stop == min(length, part.kept.stop + 96)


def test_the_core_of_a_window_is_a_multiple_of_the_grid_and_no_small_part_of_it() -> None:
    assert core_of(1000, Reach(halo=100, grid=32)) == 800
    assert core_of(9999, Reach(halo=100, grid=32)) == 2048
    assert core_of(328, Reach(halo=100, grid=32)) == 128
    assert core_of(300, Reach(halo=100, grid=32)) == 0


@pytest.mark.parametrize("size", [(40, 40), (33, 100), (64, 65), (20, 50), (10, 10)])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.9])
def test_the_mean_of_answers_by_pixel_is_that_answer(size: tuple[int, int], overlap: float) -> None:
    image = torch.rand(1, 3, *size)
    torch.testing.assert_close(whole(averaged(lambda part: part.clone(), image, 32, overlap), size), image)


def test_the_mean_is_weighted_by_gaussians_around_the_middle_of_each_window() -> None:
    image = torch.rand(1, 2, 24, 40)
    network = Context()
    weight = falling_off(16, image.device)[:, None] * falling_off(16, image.device)
    sums, total = torch.zeros(2, 24, 40), torch.zeros(24, 40)
    for top in starts(24, 16, 0.5):
        for left in starts(40, 16, 0.5):
            place = ..., slice(top, top + 16), slice(left, left + 16)
            sums[place] += weight * network(image[place])[0]
            total[place] += weight
    torch.testing.assert_close(whole(averaged(network, image, 16, 0.5), (24, 40))[0], sums / total)
    peak = falling_off(17, image.device)
    assert peak[8] == 1
    assert peak[8 + 17 // 8].item() == pytest.approx(np.exp(-((2 / (17 / 8)) ** 2) / 2))


def test_strips_of_columns_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    image = torch.rand(1, 2, 50, 90)
    at_once = whole(averaged(Context(), image, 16, 0.5), (50, 90))
    monkeypatch.setattr(windows, "FITS", 1)
    strips = list(averaged(Context(), image, 16, 0.5))
    assert {columns.start for _, columns, _ in strips} == {0, 16, 32, 48, 64, 80}
    torch.testing.assert_close(whole(iter(strips), (50, 90)), at_once)


def test_windows_overlap_at_least_as_much_as_is_asked_for() -> None:
    assert starts(100, 100, 0.5) == starts(10, 100, 0.5) == [0]
    assert starts(101, 100, 0.5) == [0, 1]
    assert starts(250, 100, 0.5) == [0, 50, 100, 150]
    assert starts(210, 100, 0.0) == [0, 55, 110]
    assert len(starts(50, 32, 0.99)) == 19  # a step of one pixel at least


def test_images_that_fit_are_computed_at_once_and_a_typed_side_decides_alone() -> None:
    images = torch.rand(2, 3, 300, 500)
    network = Context()
    (piece,) = Windows().pieces(network, images)
    assert piece.answer.shape == (2, 2, 300, 500)
    assert torch.equal(images[piece.place], images)
    assert len(list(Windows(512).pieces(network, images))) == 1
    pieces = list(Windows(400).pieces(network, images))
    assert {piece.place[0].start for piece in pieces} == {0, 1}
    assert all(piece.answer.shape[1] == 2 for piece in pieces)


def test_windows_of_a_given_side_see_half_as_much_around_it_unless_they_are_averaged() -> None:
    network, image = small(depths=(1, 1)).double().eval(), torch.rand(1, 3, 150, 131, dtype=torch.float64)
    reach = Windows().known(network, image, network).reach
    assert reach == Reach(halo=24, grid=8)
    with torch.inference_mode():
        expected = network(image)

        def answer(windows: Windows) -> Tensor:
            return whole(((*piece.area, piece.answer) for piece in windows.pieces(network, image)), (150, 131))

        torch.testing.assert_close(answer(Windows(48)), expected)
        nearly, mean = (abs(answer(windows) - expected).mean() for windows in (Windows(32), Windows(32, 0.5)))
        assert 0 < nearly < mean
    assert nearer(Reach(halo=192, grid=32), 50) == Reach(halo=64, grid=32)


def test_an_overlap_alone_has_windows_averaged_where_an_image_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    network, image = small(depths=(1, 1)).double().eval(), torch.rand(1, 3, 150, 331, dtype=torch.float64)
    cost = Windows().known(network, image, network).cost
    monkeypatch.setattr(windows, "SURE", 0)

    def answer(some: Windows) -> Tensor:
        return whole(((*piece.area, piece.answer) for piece in some.pieces(network, image)), (150, 331))

    with torch.inference_mode():
        assert len(list(Windows(overlap=0.5).pieces(network, image))) == 1
        monkeypatch.setattr(windows, "FITS", int(140**2 * cost))
        torch.testing.assert_close(answer(Windows()), network(image))
        torch.testing.assert_close(answer(Windows(overlap=0.5)), answer(Windows(128, 0.5)), rtol=0, atol=0)


def test_a_batch_that_does_not_fit_is_computed_image_by_image(monkeypatch: pytest.MonkeyPatch) -> None:
    images, network = torch.rand(3, 3, 600, 600), Context()
    cost = Windows().known(network, images, network).cost
    monkeypatch.setattr(windows, "FITS", int(1.5 * cost * 600 * 600))
    pieces = list(Windows().pieces(network, images))
    assert [piece.place[0] for piece in pieces] == [slice(0, 1), slice(1, 2), slice(2, 3)]
    assert all(piece.answer.shape == (1, 2, 600, 600) for piece in pieces)


def test_a_network_that_looks_at_the_whole_image_is_averaged_where_it_does_not_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network, image = Context(), torch.rand(1, 3, 700, 900)
    monkeypatch.setattr(windows, "FITS", 1 << 20)
    pieces = list(Windows().pieces(network, image))
    assert len(pieces) > 1
    covered = torch.zeros(1, 700, 900)
    for piece in pieces:
        covered[piece.place] += 1
    assert (covered == 1).all()


@pytest.mark.parametrize("wrong", [0, -5, 31, 1.5, "512"])
def test_a_window_that_is_none_is_refused(wrong: object) -> None:
    with pytest.raises(UserError, match="expected null, or 32 pixels or more"):
        Windows(wrong)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("wrong", [1, -0.1, 2.0, float("nan"), "half"])
def test_an_overlap_that_is_none_is_refused(wrong: object) -> None:
    with pytest.raises(UserError, match="expected a share of a window, from 0 to below 1"):
        Windows(512, wrong)  # pyright: ignore[reportArgumentType]


def test_no_piece_needs_more_than_a_part_of_a_large_image() -> None:
    """Of 6000 x 4000 pixels and 150 classes, the whole answer would take 14 GB."""
    network = nn.Conv2d(1, 150, 1)
    image = torch.zeros(1, 1, 6000, 4000)
    with torch.inference_mode():
        piece = next(Windows().pieces(network, image))
    assert piece.answer.nbytes <= windows.FITS
    assert F.one_hot(piece.answer.argmax(1)[0, 0, 0], 150).sum() == 1


def test_of_many_images_as_many_are_computed_at_once_as_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    network, images = small(depths=(1, 1)).double().eval(), torch.rand(5, 3, 32, 48, dtype=torch.float64)
    cost = Windows().known(network, images, network).cost
    monkeypatch.setattr(windows, "SURE", 0)
    monkeypatch.setattr(windows, "FITS", int(2.5 * 32 * 48 * cost))
    sizes = []
    network.register_forward_hook(lambda _, inputs, __: sizes.append(len(inputs[0])))
    with torch.inference_mode():
        answers = {piece.place[0].start: piece.answer for piece in Windows().pieces(network, images)}
        assert sizes[-3:] == [2, 2, 1]
        torch.testing.assert_close(torch.cat([answers[0], answers[2], answers[4]]), network(images))


def test_a_part_of_an_image_is_taken_in_rows_and_whole_images_at_once() -> None:
    network, images, maps = small(depths=(1, 1)).eval(), torch.rand(2, 3, 40, 64), torch.rand(2, 40, 64)
    with torch.inference_mode():
        (piece,) = Windows().pieces(network, images)
        ((answer, inside),) = piece.with_maps(maps, 1)
        assert answer is piece.answer
        assert torch.equal(inside, maps)
        for piece in Windows(side=32).pieces(network, images):
            classes, columns = piece.answer.shape[1], piece.answer.shape[3]
            answers, insides = zip(*piece.with_maps(maps, 9 * classes * columns), strict=True)
            assert max(answer.shape[2] for answer in answers) == min(9, piece.answer.shape[2])
            assert torch.equal(torch.cat(answers, 2), piece.answer)
            assert torch.equal(torch.cat(insides, 1), maps[piece.place])


def test_images_in_windows_of_a_given_side_are_computed_one_by_one() -> None:
    network, images = small(depths=(1, 1)).eval(), torch.rand(2, 3, 40, 64)
    with torch.inference_mode():
        pieces = list(Windows(side=32, overlap=0.0).pieces(network, images))
    seen = torch.zeros(2, 40, 64)
    for piece in pieces:
        seen[piece.place] += 1
    assert (seen == 1).all()
    assert {len(piece.answer) for piece in pieces} == {1}


def test_who_watches_is_told_how_many_images_are_done() -> None:
    told: list[float] = []
    watched = Windows(side=32, overlap=0.0)
    watched.watch = told.append
    list(watched.pieces(Context(), torch.rand(2, 3, 64, 32)))
    list(watched.pieces(Context(), torch.rand(3, 3, 16, 16)))
    assert told == [0.5, 1, 1.5, 2, 3]
