"""The search that Weights & Biases conducts: its file says what a run understands and logs; its agent trains one."""

import itertools
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from wandb.apis.public.sweeps import _validate_config_and_fill_distribution
from wandb.wandb_agent import Agent

from tests.conftest import BRIEF, run_script
from tests.pages import ROOT, commands
from train import train


@pytest.fixture
def sweep() -> dict[str, Any]:
    """The file of the page's command, as wandb has it when it is sent."""
    ((path,),) = commands("sweeps.md", "wandb sweep")
    return _validate_config_and_fill_distribution(yaml.safe_load((ROOT / path).read_text()))


def values(parameter: dict[str, Any]) -> list[Any]:
    """What W&B may choose, or its bounds, which are numbers and not the text that YAML makes of 1e-3."""
    chosen = parameter.get("values") or [parameter["min"], parameter["max"]]
    assert isinstance(chosen[0], type(chosen[-1]))
    return chosen


def test_every_value_is_an_override_that_training_understands(sweep: dict[str, Any]) -> None:
    parameters = {name: values(parameter) for name, parameter in sweep["parameters"].items()}
    for chosen in itertools.zip_longest(*parameters.values()):
        overrides = [f"{name}={value}" for name, value in zip(parameters, chosen, strict=True) if value is not None]
        finished = run_script(train, "--cfg", "job", *overrides)
        assert finished.code == 0, finished.err
    for name, (low, *_, high) in parameters.items():
        if "min" in sweep["parameters"][name]:
            assert 0 < low < high


@pytest.mark.slow
def test_an_agent_trains_and_logs_what_is_searched_by(
    sweep: dict[str, Any], small_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WANDB_RUN_ID", "WANDB_SWEEP_PARAM_PATH"):  # which the agent sets for its run
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.setenv("WANDB_SWEEP_ID", "searched")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    monkeypatch.chdir(tmp_path)
    agent = Agent(api=None, queue=None)
    agent._sweep_command = [*sweep["command"], f"dataset={small_dataset}", "logger.offline=true", *BRIEF]
    chosen = {name: {"value": values(parameter)[0]} for name, parameter in sweep["parameters"].items()}
    agent._command_run({"program": str(ROOT / sweep["program"]), "run_id": "first", "args": chosen})
    assert agent._run_processes["first"].wait(300) == 0

    run = tmp_path / "outputs" / "searched" / "first"
    assert (run / "metrics.json").is_file()
    logged = b"".join(path.read_bytes() for path in run.glob("wandb/offline-run-*-first/run-first.wandb"))
    assert re.search(rb"\b" + sweep["metric"]["name"].encode() + rb"(?!\w)", logged)
