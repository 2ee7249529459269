"""What a score hides: classes that are never found, and a mean that a constant answer has too."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from ..metrics import class_iou, constant_answers, mean_iou
from ..runs.record import Record
from ..runs.resume import typed_keys
from ..text import enumerated

HANDFUL = 30  # pixels; what says less of a class is no evidence
HARDLY = 0.01  # share of a class's pixels that must be found for it to count as found
NEARLY = 1.01  # times the mIoU of a constant answer that is no better than it
NOTABLE = 0.001  # share of the pixels of a class without which a network is not done
RARE = 0.1  # share of the pixels below which more weight is the first thing to try
FEW_STEPS = 500
SHOWN = 5  # classes in a line


@dataclass(frozen=True)
class Verdict:
    """What is wrong with what a network predicts; nothing if all is empty.

    Attributes:
        missing: Name -> share of the true pixels of the classes that are never predicted.
        confused: The same of the classes that are predicted, but nearly never where they are.
        miou: The score.
        constant: The class that gives no worse a score if it is the answer everywhere; `None` if there is none such.
        constant_miou: The best mIoU of such an answer.
    """

    missing: Mapping[str, float]
    confused: Mapping[str, float]
    miou: float
    constant: str | None
    constant_miou: float

    @property
    def not_found(self) -> dict[str, float]:
        return {**self.missing, **self.confused}

    @property
    def serious(self) -> bool:
        """Whether the network is not worth being used as it is."""
        return self.constant is not None or any(share >= NOTABLE for share in self.not_found.values())

    def line(self) -> str:
        """In one line, for after a validation; empty if all is well."""
        parts = []
        if self.not_found:
            parts.append(f"not found so far: {listed(self.not_found)}")
        if self.constant is not None:
            parts.append(f"IoU/val is no better than {self.constant} everywhere ({self.constant_miou:.4f})")
        return "; ".join(parts)

    def lines(self) -> list[str]:
        """In full sentences, for the end; none if all is well."""
        lines = []
        if self.constant is not None:
            answer = f"the answer {self.constant!r} everywhere, which has {self.constant_miou:.4f}"
            lines.append(f"This network has learned next to nothing: mIoU {self.miou:.4f} is no better than {answer}.")
        if self.missing:
            lines.append(f"Never predicted: {listed(self.missing)}.")
        if self.confused:
            lines.append(f"Predicted, but hardly ever where they are: {listed(self.confused)}.")
        return lines


def judge(matrix: Tensor, names: Sequence[str]) -> Verdict:
    """What a confusion matrix (truth, prediction) says of the classes `names`."""
    matrix = matrix.cpu()
    total, right = int(matrix.sum()), matrix.diagonal().tolist()
    truth, predicted = matrix.sum(1).tolist(), matrix.sum(0).tolist()
    missing, confused = {}, {}
    for name, pixels, answers, hits in zip(names, truth, predicted, right, strict=True):
        if pixels >= HANDFUL and hits < HARDLY * pixels:
            (confused if answers else missing)[name] = pixels / total
    constant, occurring = constant_answers(matrix), matrix.sum(1) > 0
    best = int(constant.argmax())
    own = class_iou(matrix)[occurring].mean().item()  # without classes that are nowhere true: they count above
    worthless = int(occurring.sum()) > 1 and own <= NEARLY * constant[best].item()
    return Verdict(missing, confused, mean_iou(matrix), names[best] if worthless else None, constant[best].item())


def listed(shares: Mapping[str, float]) -> str:
    """Names with their share of the pixels, the largest first."""
    largest = sorted(shares.items(), key=lambda item: -item[1])
    words = [f"{name} ({100 * share:.2g} %)" for name, share in largest]
    words[0] = words[0].replace(" %)", " % of the pixels)")
    return enumerated(words, SHOWN)


def remedies(verdict: Verdict, record: Record, steps: int | None) -> list[tuple[str, str]]:
    """(words to type, what they do) of what to try, the most promising first; `steps` are those of the training,
    if they are known."""
    weighing, longer = [], []
    weights = record.settings["loss"].get("weights", "")
    if weights is None:
        weighing.append(("loss.weights=sqrt", "rare classes count more"))
    elif weights in ("auto", "sqrt"):
        weighing.append(("loss.weights=inverse", "rare classes count still more"))
    if not record.settings["augment"].get("rare", 1):
        weighing.append(("augment.rare=0.5", "half of the crops lie around rare classes"))
    if steps is not None:
        limit = " train.max_minutes=null" if record.settings["train"].get("max_minutes") is not None else ""
        longer.append((f"train.steps={max(4 * steps, FEW_STEPS)}{limit}", f"in place of {steps}"))
    rare = min(verdict.not_found.values(), default=1) < RARE
    first, second = (weighing, longer) if rare and (steps is None or steps >= FEW_STEPS) else (longer, weighing)
    return [*first, *second]


def advice(verdict: Verdict, record: Record, steps: int | None) -> str:
    """What to try first, in a sentence."""
    tries = [f"{words} ({effect})" for words, effect in remedies(verdict, record, steps)]
    tries.append("a smaller data.crop, or a larger or pretrained model")
    return f"Try first: {'; then '.join(tries)}. `check` shows whether the masks lie on what they name."


def next_command(typed: Sequence[str], words: str) -> str:
    """The command that a training was started with, with other words in place of those that set the same."""
    replaced = {word.partition("=")[0] for word in shlex.split(words)} | {"run_dir", "resume"}
    if "train.steps" in replaced:
        replaced |= {"train.epochs", "train.max_minutes", "train.most_steps"}
    keys = typed_keys(typed)
    implied = "data=folder" if "data.root" in keys and "experiment" not in keys else ""
    kept = [word for word, key in zip(typed, keys, strict=True) if key not in replaced and word != implied]
    return shlex.join(["train", *kept, *shlex.split(words)])
