"""The house: imports run one way, and importing the package loads nothing heavy."""

import subprocess
import sys

import pytest

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


@pytest.mark.parametrize("choices", [[], ["experiment=unicorn8b", "logger=wandb", "llm=openai", "llm.model=m"]])
def test_a_configuration_is_light_too(choices: list[str]) -> None:
    """What a script does not use, it does not load: settings stand apart from what they build."""
    code = f"""
import sys
from unicorn import command
def script(config): print([name for name in {HEAVY!r} if name in sys.modules])
sys.argv = ["script.py", *{choices!r}]
command.run(script)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
