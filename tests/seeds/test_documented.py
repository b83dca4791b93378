"""The commands of docs/seeds.md compose, and its words about templates are true."""

import re
import shlex
from pathlib import Path

import pytest

from tests.conftest import run_script
from unicorn.config import Config
from unicorn.seeds.banks import Bank, Labels, domains

PAGE = (Path(__file__).parents[2] / "docs" / "seeds.md").read_text()
COMMANDS = re.findall(r"^    python synthesize\.py (.*)$", PAGE.replace("\\\n", ""), re.MULTILINE)


@pytest.mark.parametrize("command", [line for line in COMMANDS if "llm=" not in line])
def test_a_command_composes(command: str) -> None:
    composed = list[Config]()

    def script(config: Config) -> None:
        composed.append(config)

    finished = run_script(script, *shlex.split(command, comments=True))
    assert finished.code == 0, finished.err
    assert type(composed[0].seeds).__module__.startswith("unicorn.seeds.")


def test_the_domains_are_those_that_it_names() -> None:
    named = PAGE.split("for each of 18 domains: ")[1].split(".")[0]
    assert " ".join(named.split()).split(", ") == domains()


def test_the_table_of_forms_is_what_templates_give() -> None:
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in PAGE.splitlines() if line.startswith("| `{")]
    assert len(rows) == 5
    for form, *texts in rows:
        for label, text in zip(("apple", "scissors", "rice"), texts, strict=False):
            bank = Bank(domain="any", labels=Labels.COMMON, templates=())
            assert bank.fill(form.strip("`"), label) == text
        if texts[3]:
            bank = Bank(domain="any", labels=Labels.NAMES, templates=())
            assert bank.fill(form.strip("`"), "Eiffel Tower") == texts[3].split(",")[0]
