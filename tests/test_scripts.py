import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_benchmark_prints_a_ratio_for_every_variant():
    words = ["--model", "fcn_tiny", "--size", "32", "32", "--batch", "2", "--rounds", "1"]
    command = [sys.executable, str(ROOT / "scripts" / "benchmark.py"), *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    rows = re.findall(r"^\| (.+?) \| ([\d.]+) \| ([\d.]+) \|$", done.stdout, re.MULTILINE)
    assert [name for name, _, _ in rows] == ["fp32", "fp32, channels last", "bf16", "bf16, channels last"]
    assert float(rows[0][2]) == 1.0
