"""What README.md and the pages in docs/ show works: commands are composed and run, Python is run, YAML is read."""

import functools
import importlib
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import yaml
from PIL import Image

from segtrain import places
from segtrain.build import TARGET, build
from segtrain.data.classes import ClassTable
from segtrain.report.per_image import mean_of_defined, read_per_image

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
Run = Callable[..., int]


class Block(NamedTuple):
    """What stands between two fences."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def lines(self) -> list[str]:
        """The commands of a bash block, without comments; a line that goes on is one."""
        whole = self.text.replace("\\\n", "").splitlines()
        return [" ".join(line.partition(" #")[0].split()) for line in whole if line.strip() and line[0] != "#"]


def blocks(page: Path) -> list[Block]:
    text, name = page.read_text(encoding="utf-8"), str(page.relative_to(ROOT))
    fences = re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [Block(name, text.count("\n", 0, fence.start()) + 1, *fence.groups()) for fence in fences]


BLOCKS = [block for page in PAGES for block in blocks(page)]
RUN = [page for page in PAGES if {"bash", "python"} & {block.language for block in blocks(page)}]
BASH = [block for block in BLOCKS if block.language == "bash"]
LINES = list(dict.fromkeys(line for block in BASH for line in block.lines))


def settings() -> Iterator[str]:
    """What stands behind `segtrain` in every command of a page, in a block or in a sentence, but for those that another
    package adds its settings to."""
    for line in LINES:
        if "hydra/launcher=" not in line:
            yield from re.findall(r"-m segtrain (.+)", line)
    for page in PAGES:
        yield from re.findall(r"`python -m segtrain (\w+ [^`]+)`", page.read_text(encoding="utf-8"))


# Every line of a bash block is run, but for those with one of these words.
NOT_RUN = {
    "scripts/run": "makes an environment",
    "scripts/test": "runs these tests",
    "pip": "changes the environment of the tests",
    "tensorboard": "a server does not end",
    "scripts/benchmark_gpu": "needs a GPU",
    "model.encoder.weights=IMAGENET1K_V2": "downloads them",
    "model.encoder.weights=fb_in1k": "downloads them",
    "model.encoder.weights=resnet50.safetensors": "a file that the reader has",
    "model=torchvision": "takes a minute; tests/commands/test_networks.py trains networks of others",
    "model=fcn_torchvision": "the same",
    "model=smp": "the same",
    "trainer.devices=4": "needs GPUs",
    "trainer.devices=[0,2]": "needs GPUs",
    "trainer.devices=2": "another process would run the tests again; tests/training/ has several",
    "torchrun": "needs two machines",
    "srun": "needs SLURM",
    "search": "trains for long; tests/commands/test_search.py has short ones",
    "hydra/launcher=joblib": "a package of its own",
    "hydra/launcher=submitit_slurm": "needs SLURM",
}
CONTROL = {"if", "else", "fi"}  # of bash, which reads them in a test of their own
QUICK = ["train.steps=2", "data.crop=[32,32]", "data.batch_size=2", "data.workers=0", "trainer.accelerator=cpu"]
SHAPES = ["data.size=[32,32]", "data.train=4", "data.val=2", "data.test=2"]
SMALLER = {  # in Python
    '"train.steps=60"': '"data.size=[64,64]", "data.crop=[64,64]", "data.train=8", "train.steps=2"',
    '"train.epochs=60"': '"model=fcn_tiny", "data.crop=[32,32]", "data.batch_size=2", "train.steps=2"',
}
BEFORE = {  # what a page takes for granted, besides photos/
    "README.md": ["train data.root=photos run_dir=runs/.../2026-01-01_12-00-00"],
    "docs/export.md": [
        "train data.root=photos model=fcn_tiny",
        "export run=latest out=roads.onnx",
        "export run=latest format=pt2 out=roads.pt2",
    ],
}


# --- what is looked at ------------------------------------------------------------------------------------------------


def test_every_block_says_what_it_holds() -> None:
    assert {block.language for block in BLOCKS} == {"bash", "python", "yaml", "text", "cpp"}
    cpp = [block for block in BLOCKS if block.language == "cpp"]
    assert [block.page for block in cpp] == ["docs/export.md"]  # not compiled: ONNX Runtime's headers are not there
    text = [block.text for block in BLOCKS if block.language == "text"]
    assert not [block for block in text if re.search(r"^(python|pip|scripts/\w+|segtrain) ", block, re.MULTILINE)]


def test_what_is_not_run_is_there_and_has_a_reason() -> None:
    words = {word for line in LINES for word in line.split()}
    assert set(NOT_RUN) <= words
    assert all(NOT_RUN.values())


@pytest.mark.parametrize("block", BASH, ids=str)
def test_bash_can_read_it(block: Block) -> None:
    subprocess.run(["bash", "-n"], input=block.text, text=True, check=True)


def test_scripts_and_extras_that_are_named_exist() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    scripts = {ROOT / name for name in re.findall(r"scripts/\w+(?:\.\w+)?", text)}
    assert [script for script in scripts if not script.is_file()] == []
    extras = set(re.findall(r"segtrain\[(\w+)\]", text))
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert [extra for extra in extras if not re.search(rf"^{extra} = \[", project, re.MULTILINE)] == []


def test_the_site_has_every_page() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    listed = re.findall(r"^  - .+: (\w+\.md)$", text, re.MULTILINE)
    assert sorted(listed) == sorted(["index.md", *(page.name for page in PAGES[1:])])


@pytest.mark.slow
def test_the_site_is_built_and_its_links_lead_somewhere(tmp_path: Path) -> None:
    words = ["-m", "mkdocs", "build", "--strict", "--config-file", ROOT / "mkdocs.yml", "--site-dir", tmp_path]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for page in PAGES[1:]:
        assert (tmp_path / page.stem / "index.html").is_file()
    first = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert all((tmp_path / link).exists() for link in re.findall(r'(?:href|src)="(?!http|#|\.\.)([^"#?]+)', first))


# --- commands that are composed, and YAML -----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("words", dict.fromkeys(settings()))
def test_a_command_takes_the_settings_that_a_page_types(
    words: str, segtrain: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name, *others = shlex.split(words)
    module = importlib.import_module(f"segtrain.commands.{name}")
    function, received = getattr(module, name), []
    monkeypatch.setattr(module, name, functools.wraps(function)(lambda **given: received.append(given)))
    monkeypatch.setattr(places, "refuse_absent", lambda given: None)
    assert segtrain(name, *others) == 0, capsys.readouterr().err
    assert received or "--help" in others


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "yaml"], ids=str)
def test_yaml_is_read(block: Block) -> None:
    content = yaml.safe_load(block.text)
    if TARGET in content:
        assert callable(build(content))
    else:
        assert len(ClassTable.from_spec(content)) == len(content["classes"])


# --- pages that are run -----------------------------------------------------------------------------------------------


def draw(folder: Path, *values: int) -> None:
    """Images and masks of `values` as README.md lays them out, and new images."""
    rng = np.random.default_rng(0)
    (folder / "new").mkdir(parents=True)
    for split, number in {"train": 8, "val": 5, "test": 5}.items():
        for kind in ("images", "masks"):
            (folder / kind / split).mkdir(parents=True)
        for i in range(number):
            image = rng.integers(0, 256, (40, 48, 3), np.uint8)
            mask = rng.choice(np.array(values, np.uint8), (40, 48))
            Image.fromarray(image).save(folder / "images" / split / f"{split}{i}.png")
            Image.fromarray(mask).save(folder / "masks" / split / f"{split}{i}.png")
    Image.fromarray(image).save(folder / "new" / "a.jpg")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with all that the pages take for granted."""
    draw(tmp_path / "photos", 0, 1)
    readme = [block.text for block in BLOCKS if (block.page, block.language) == ("README.md", "yaml")]
    (tmp_path / "photos" / "classes.yaml").write_text(readme[0], encoding="utf-8")
    draw(tmp_path / "nuclei", 0, 255)
    for name in ("new.jpg", "photo.jpg"):
        shutil.copy(tmp_path / "photos" / "new" / "a.jpg", tmp_path / name)
    return tmp_path


def quick(words: list[str]) -> list[str]:
    """The words of a command, and what makes it a matter of seconds."""
    if words[0] != "train":
        return words
    has_data = any(word.startswith(("data.root=", "resume=")) for word in words)
    return [*words, *QUICK, *([] if has_data else SHAPES)]


def carry_out(line: str, segtrain: Run) -> None:
    """A line of a bash block; of a script in Python, what it says of itself."""
    program, *words = shlex.split(line)
    if line.startswith("python -m segtrain "):
        if "run=A,B,C,D,E" in words:  # the runs of the sweep in the line above
            runs = [file.parent for file in Path("runs").glob("*/*/config.yaml")]
            folds = sorted(runs, key=lambda folder: folder.stat().st_mtime)[-5:]
            for letter, fold in zip("ABCDE", folds, strict=True):
                shutil.copytree(fold, letter, dirs_exist_ok=True)
        assert segtrain(*quick(words[2:])) == 0, line
    else:
        assert program == "python", line
        subprocess.run([sys.executable, ROOT / words[0], "--help"], check=True, capture_output=True)


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN, ids=lambda page: page.name)
def test_a_page_works_from_top_to_bottom(page: Path, place: Path, segtrain: Run) -> None:
    names: dict[str, Any] = {}
    for words in BEFORE.get(str(page.relative_to(ROOT)), ()):
        assert segtrain(*quick(words.split())) == 0
    for block in blocks(page):
        if block.language == "python":
            text = block.text
            for long, short in SMALLER.items():
                text = text.replace(long, short)
            exec(compile(text, str(page), "exec"), names)
        for line in block.lines if block.language == "bash" else ():
            if not NOT_RUN.keys() & set(line.split()) and line.split()[0] not in CONTROL:
                carry_out(line, segtrain)
    if page.name == "python.md":
        assert names["mask"].shape == (200, 300)
        assert names["logits"].shape == (1, 6, 200, 300)
        images = read_per_image(names["training"].folder / "evaluate/val/per_image.npz")
        assert names["per_image"] == pytest.approx(np.nanmean(mean_of_defined(images.iou)))
        assert names["micro"] == images.hits.sum() / (images.truth + images.predicted - images.hits).sum()
