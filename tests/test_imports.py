"""The house: imports run one way, and importing the package loads nothing heavy."""

import subprocess
import sys

HEAVY = ("torch", "transformers", "lightning", "deepspeed", "vllm", "ray", "wandb", "PIL")


def test_imports_run_one_way() -> None:
    # In a process of its own: it disables the loggers of whoever calls it.
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def test_importing_the_package_is_light() -> None:
    code = f"import sys, unicorn; print([name for name in {HEAVY!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
