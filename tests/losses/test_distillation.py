import pytest
import torch
from torch.distributions import Categorical, kl_divergence

from segtrain.losses.contract import mean_loss
from segtrain.losses.distillation import Distillation

VOID = 9


def answers(number: int, kind: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits of a student and of a teacher, and masks with some void."""
    generator = torch.Generator().manual_seed(0)
    student, teacher = (torch.randn(number, 3, 4, 5, generator=generator, dtype=kind) for _ in range(2))
    mask = torch.randint(0, 3, (number, 4, 5), generator=generator, dtype=torch.uint8)
    mask[:, 0] = VOID
    return student, teacher, mask


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_it_is_torchs_own_divergence_of_the_softened_answers_at_valid_pixels(temperature: float):
    student, teacher, mask = answers(2)
    loss = Distillation(temperature=temperature, void=VOID)
    soft = [Categorical(logits=logits.movedim(1, -1) / temperature) for logits in (teacher, student)]
    expected = temperature**2 * kl_divergence(*soft)[mask != VOID].sum()
    torch.testing.assert_close(loss(student, teacher, mask), expected[None])
    assert loss.count(mask).tolist() == [2 * 3 * 5]


def test_the_same_answers_are_no_divergence():
    student, _, mask = answers(1)
    assert Distillation(temperature=2.0, void=VOID)(student, student.clone(), mask).item() == pytest.approx(0, abs=1e-5)


def test_its_gradient_is_that_of_finite_differences():
    student, teacher, mask = answers(1, torch.float64)
    loss = Distillation(temperature=2.0, void=VOID)
    assert torch.autograd.gradcheck(lambda logits: loss(logits, teacher, mask), student.requires_grad_())


def test_hot_answers_have_gradients_of_the_size_of_cold_ones():
    """Divided by T as the logits are, squared as both are: without the factor, T = 100 would have a ten thousandth."""
    student, teacher, mask = answers(1)
    sizes = []
    for temperature in (10.0, 100.0):
        logits = student.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(
            Distillation(temperature=temperature, void=VOID)(logits, teacher, mask), logits
        )
        sizes.append(gradient.norm().item())
    assert sizes[0] == pytest.approx(sizes[1], rel=0.1)


def test_void_alone_is_zero_with_zero_gradient():
    student, teacher, mask = answers(2)
    mask[:] = VOID
    loss = Distillation(temperature=2.0, void=VOID)
    total = mean_loss(loss(student.requires_grad_(), teacher, mask), loss.count(mask))
    total.backward()
    assert total == 0
    assert student.grad is not None
    assert not student.grad.any()


def test_sums_and_counts_of_pieces_add_up_to_those_of_the_batch():
    whole = answers(4)
    loss = Distillation(temperature=2.0, void=VOID)
    pieces = list(zip(*(tensor.chunk(2) for tensor in whole), strict=True))
    torch.testing.assert_close(sum(loss(*piece) for piece in pieces), loss(*whole))
    assert sum(loss.count(mask) for *_, mask in pieces) == loss.count(whole[2])
