"""How the small commands end."""

import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest

from unicorn.command_line import run
from unicorn.dataset import export_llava, import_llava
from unicorn.errors import UserError

ROOT = Path(__file__).parent.parent


def test_a_mistake_is_one_line_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    def main(arguments: Namespace) -> None:
        raise UserError(f"no file at {arguments.file}.")

    with pytest.raises(SystemExit, match="2"):
        run(main, Namespace(file="a"))
    assert capsys.readouterr().err == "error: no file at a.\n"


def test_an_interruption_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    def main(arguments: Namespace) -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit, match="130"):
        run(main, Namespace())
    assert capsys.readouterr().err == "interrupted: run the same command again to go on.\n"


@pytest.mark.parametrize("command", ["import_llava", "export_llava", "push"])
def test_a_command_of_the_dataset_tells_what_it_does(command: str) -> None:
    line = [sys.executable, "-W", "error", "-m", f"unicorn.dataset.{command}", "--help"]
    finished = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert f"python -m unicorn.dataset.{command}" in finished.stdout


def test_in_and_out_by_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "all.json").write_text('[{"id": 1, "caption": "A cat."}, {"id": 2}]')
    importing = Namespace(files=[tmp_path / "all.json"], dataset=tmp_path / "made", domain="open", task=None)
    run(import_llava.main, importing)
    said = capsys.readouterr().out
    assert "captions: no caption, and none under its id before" in said
    assert str(tmp_path / "made") in "".join(line.strip() for line in said.splitlines())
    run(export_llava.main, Namespace(dataset=tmp_path / "made", out=tmp_path / "json"))
    assert '"caption":"A cat."' in (tmp_path / "json" / "captions.json").read_text()
    line = [sys.executable, "-m", "unicorn.dataset.import_llava", "none.json", "--dataset", str(tmp_path / "other")]
    finished = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (finished.returncode, finished.stdout) == (2, "")
    assert finished.stderr.startswith("error: no file at none.json to be imported.")
    assert finished.stderr.count("\n") == 1
