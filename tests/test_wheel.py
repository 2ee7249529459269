"""The wheel: what is in it, and that it trains where there is no clone."""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHAPES = ("data.size=[32,32]", "data.crop=[32,32]", "data.train=8", "data.val=2", "data.test=2")
TINY = (*SHAPES, "data.batch_size=2", "data.workers=0", "model=fcn_tiny", "train.steps=3", "trainer.accelerator=cpu")

pytestmark = pytest.mark.slow


def run(*words: str | Path, cwd: Path) -> str:
    """The output of a command, which must succeed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, words))}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    (file,) = folder.iterdir()
    return file


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment with segtrain from its wheel, and all else from the environment of the tests."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    pip = (sys.executable, "-m", "pip", "--python", folder / "bin" / "python")
    run(*pip, "install", "--no-index", "--no-deps", wheel, cwd=folder)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "others.pth").write_text("\n".join({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}))
    return folder / "bin"


def test_the_wheel_holds_the_package_its_configuration_and_the_licence(wheel: Path) -> None:
    names = ZipFile(wheel).namelist()
    information = f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"
    assert {name.split("/")[0] for name in names} == {"segtrain", information}
    assert f"{information}/licenses/LICENSE" in names
    templates = (ROOT / "segtrain/report/templates").iterdir()
    typed = ROOT / "segtrain" / "py.typed"
    here = [*(ROOT / "segtrain").rglob("*.py"), typed, *templates, *(ROOT / "conf").rglob("*.yaml")]
    there = {str(file.relative_to(ROOT)).replace("conf/", "segtrain/conf/") for file in here}
    assert {name for name in names if name.startswith("segtrain/")} == there


def test_an_editable_install_has_no_copy_of_the_configuration(tmp_path: Path) -> None:
    code = "import sys; from hatchling.build import build_editable; build_editable(sys.argv[1])"
    run(sys.executable, "-c", code, tmp_path, cwd=ROOT)
    (file,) = tmp_path.iterdir()
    assert [name for name in ZipFile(file).namelist() if ".dist-info/" not in name] == ["_segtrain.pth"]


def test_the_installed_wheel_trains_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    where = run(installed / "python", "-c", "import segtrain; print(segtrain.__file__)", cwd=tmp_path)
    assert where.startswith(str(installed.parent))
    printed = run(installed / "python", "-m", "segtrain", "train", *TINY, cwd=tmp_path)
    assert "Warning" not in printed
    (last,) = tmp_path.glob("runs/shapes-fcn_tiny/*/checkpoints/last.ckpt")
    assert last.stat().st_size > 0
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_the_command_is_installed_too(installed: Path, wheel: Path, tmp_path: Path) -> None:
    assert run(installed / "segtrain", "--version", cwd=tmp_path) == f"segtrain {wheel.name.split('-')[1]}\n"
