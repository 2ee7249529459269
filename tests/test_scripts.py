import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from segtrain.build import conf_folder
from tests.commands.conftest import TINY

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_benchmark_prints_a_ratio_for_every_variant():
    words = ["--model", "fcn_tiny", "--size", "32", "32", "--batch", "2", "--rounds", "1"]
    command = [sys.executable, str(ROOT / "scripts" / "benchmark.py"), *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    rows = re.findall(r"^\| (.+?) \| ([\d.]+) \| ([\d.]+) \|$", done.stdout, re.MULTILINE)
    assert [name for name, _, _ in rows] == ["fp32", "fp32, channels last", "bf16", "bf16, channels last"]
    assert float(rows[0][2]) == 1.0


@pytest.mark.slow
def test_the_benchmark_of_resuming_has_a_share_for_every_part():
    words = ["--model", "fcn_tiny", "--size", "32", "32", "--batch", "2"]
    command = [sys.executable, str(ROOT / "scripts" / "benchmark_resume.py"), *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=300)
    *parts, save, whole = [float(share) for share in re.findall(r"([\d.]+)%", done.stdout)]
    assert len(parts) == 5
    assert whole == pytest.approx(sum(parts) + save, abs=0.001)


@pytest.mark.parametrize(("part", "commands"), [("speed", 5), ("train", 3)])
def test_the_benchmark_of_a_gpu_types_settings_that_there_are(tmp_path: Path, part: str, commands: int):
    noted = tmp_path / "noted.txt"
    for name in ("python", "nvidia-smi"):
        stub = tmp_path / name
        stub.write_text(f'#!/bin/sh\n[ "$1" != -m ] || echo "$@" >> {noted}\n')
        stub.chmod(0o755)
    scripts = tmp_path / "clone" / "scripts"
    scripts.mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "benchmark_gpu", scripts)
    places = {"PYTHON": str(tmp_path / "python"), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = [str(scripts / "benchmark_gpu"), "CamVid", part, "data.workers=5"]
    subprocess.run(command, env=places, check=True, timeout=60)
    lines = [line.split() for line in noted.read_text().splitlines()]
    assert len(lines) == commands
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        for _, module, name, *words in lines:
            assert module == "segtrain"
            settings = compose(name, words)
            assert settings.data.root == "CamVid"
            assert settings.data.workers == 5


def test_the_benchmark_of_a_gpu_names_its_parts(tmp_path: Path):
    command = [str(ROOT / "scripts" / "benchmark_gpu"), "CamVid"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert "name what to measure: speed, peers or train" in done.stderr


@pytest.mark.slow
def test_the_benchmark_of_predicting_compares_the_whole_with_its_parts(tmp_path: Path):
    train = [sys.executable, "-m", "segtrain", "train", *TINY, "run_dir=run"]
    subprocess.run(train, cwd=tmp_path, capture_output=True, check=True, timeout=300)
    options = ["run", "--images", "10", "--size", "64", "128"]
    command = [sys.executable, str(ROOT / "scripts" / "benchmark_predict.py"), *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    rates = dict(re.findall(r"^(.+): ([\d.]+) images/s$", done.stdout, re.MULTILINE))
    assert rates.keys() == {"decoding", "the network", "writing", "whole"}
    share, slowest = re.search(r"^whole: ([\d.]+) of (.+)$", done.stdout, re.MULTILINE).groups()
    assert float(rates[slowest]) == min(float(rates[part]) for part in rates if part != "whole")
    assert float(share) == pytest.approx(float(rates["whole"]) / float(rates[slowest]), abs=0.05)
