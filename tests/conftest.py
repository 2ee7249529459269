"""What all tests share."""

import signal
import sys
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from segtrain.cli import main

# A shell's background jobs, and what nohup starts, ignore these, and so would all that is started here.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    on_gpu = [item for item in items if "gpu" in item.keywords]
    if not on_gpu:
        return
    import torch  # only now: it takes seconds

    if not torch.cuda.is_available():
        for item in on_gpu:
            item.add_marker(pytest.mark.skip(reason="needs an NVIDIA GPU"))


def script(name: str) -> Any:
    """The module that a file of scripts/ is."""
    spec = spec_from_file_location(name, Path(__file__).parents[1] / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def segtrain(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., int]:
    """Runs `segtrain WORDS` in an empty folder and returns the exit status."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))

    def run(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["segtrain", *words])
        try:
            return main()
        except SystemExit as end:
            return int(end.code or 0)

    return run


@pytest.fixture
def weights() -> Callable[..., dict[str, Any]]:
    """Everything in a run's checkpoint that training changes: weights, average, optimiser."""

    import torch

    def read(run: str, name: str = "last") -> dict[str, Any]:
        content = torch.load(Path(run) / "checkpoints" / f"{name}.ckpt", weights_only=True)
        optimizer = content["optimizer_states"][0]["state"]
        moments = {f"{i}.{key}": torch.as_tensor(v) for i, state in optimizer.items() for key, v in state.items()}
        return content["state_dict"] | moments

    return read
