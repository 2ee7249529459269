"""Files for other programs: Docker's, those of dev containers and of GitHub's workflows. What they name exists."""

import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.test_docs import LINES

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
DEV_CONTAINER = (ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8")
WORKFLOW = (ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile, each with its words."""
    lines = [line for line in DOCKERFILE.splitlines() if not line.startswith("#")]
    return [(name, words) for name, _, words in (line.partition(" ") for line in lines)]


def test_the_image_holds_what_the_package_is_made_of() -> None:
    assert {name for name, _ in instructions()} == {"FROM", "ARG", "RUN", "COPY", "ENV", "WORKDIR", "ENTRYPOINT"}
    copied = [source for name, words in instructions() if name == "COPY" for source in words.split()[:-1]]
    assert all((ROOT / source).exists() for source in copied)
    assert {PROJECT["readme"], *PROJECT["license-files"], "pyproject.toml", "conf", "segtrain"} == set(copied)
    assert json.loads(dict(instructions())["ENTRYPOINT"]) == ["python", "-m", "segtrain"]


def test_the_image_takes_the_torch_that_the_package_asks_for() -> None:
    wanted = [bound for bound in PROJECT["dependencies"] if re.match("torch(vision)?>", bound)]
    (install,) = [words for name, words in instructions() if name == "RUN" and "--index-url" in words]
    assert shlex.split(install)[-2:] == wanted


@pytest.mark.parametrize("text", [DOCKERFILE, DEV_CONTAINER])
def test_extras_that_are_installed_exist(text: str) -> None:
    extras = [extra for group in re.findall(r"\[([a-z,]+)\]['\"\\]", text) for extra in group.split(",")]
    assert extras
    assert set(extras) <= set(PROJECT["optional-dependencies"])


def test_a_dev_container_installs_what_the_tests_need() -> None:
    assert "pip install -e '.[dev]'" in json.loads(DEV_CONTAINER)["postCreateCommand"]


def test_the_workflow_runs_what_the_readme_shows_on_linux_and_macos() -> None:
    jobs = yaml.safe_load(WORKFLOW)["jobs"]
    assert jobs["start"]["strategy"]["matrix"]["system"] == ["ubuntu-latest", "macos-latest"]
    steps = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    shown = [line.removesuffix(" train.steps=20") for line in steps]
    assert shown == ["pip install -e .", "python -m segtrain train", "scripts/test"]
    assert set(shown) <= set(LINES)
