"""The README's own lines about asking, as they stand there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECTION = (ROOT / "README.md").read_text().split("## Ask it about your own picture\n")[1].split("\n## ")[0]


@pytest.mark.usefixtures("small_evaluation")
def test_the_readme_answers_about_a_picture(small_run: Path, tmp_path: Path) -> None:
    from unicorn.scenes.benchmark import SceneBenchmarkSettings

    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs" / "scenes").symlink_to(small_run)
    next(iter(SceneBenchmarkSettings(count=1).build().pictures())).image.save(tmp_path / "picture.png")
    python = re.search(r"```python\n(.*?)```", SECTION, re.DOTALL)
    shell = re.search(r"^    python (-m unicorn\.hub\.ask .*)$", SECTION, re.MULTILINE)
    assert python
    assert shell
    (tmp_path / "readme.py").write_text(python[1])
    answers = [
        subprocess.run(
            f"{sys.executable} {line}",
            shell=True,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        for line in ("readme.py", shell[1])
    ]
    assert [answer.returncode for answer in answers] == [0, 0], answers
    assert answers[0].stdout.strip() == answers[1].stdout.strip() != ""
