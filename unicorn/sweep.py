"""Sweeps: a run folder for each job, a number for what chooses the values, one table at the end."""

import hashlib
import logging
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, ClassVar, cast

from hydra import compose
from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from unicorn.config import CONF, KIND, Config, document, to_config
from unicorn.errors import UserError
from unicorn.files import BusyError

GRID = "basic"
"""Hydra's own sweeper, which takes every value that is named."""
LONGEST_NAME = 200
"""Bytes of a folder's name; file systems take 255."""
_UNNAMED = ("name", "run", "out", "stages")  # overrides that tell no run from another
_log = logging.getLogger(__name__)


def run_in_sweep(script: Callable[[Config], float | None], config: Config) -> float | None:
    """Run a job of a sweep in folders of its own; returns what is to be made small.

    A job with the values of another one, which a search may draw twice, waits for it and finds what it left.

    Raises UserError where a search chooses the values, if there is no number by which it could, or if the
    processes of one job would each draw their own.
    """
    choices = HydraConfig.get().runtime.choices
    sweeper, launcher = choices["hydra/sweeper"], choices["hydra/launcher"]
    if sweeper != GRID and launcher != "submitit_slurm" and (config.trainer.devices, config.trainer.nodes) != (1, 1):
        raise UserError(
            f"hydra/sweeper={sweeper} would draw other values on each device. "
            "Set trainer.devices=1, or have Slurm start the ranks of a job (hydra/launcher=submitit_slurm)."
        )
    number = _in_turn(script, of_sweep(config, HydraConfig.get().overrides.task))
    if number is None and sweeper != GRID:
        raise UserError(
            f"hydra/sweeper={sweeper} searches by the loss of held-out samples, and {script.__name__} gave none. "
            "Search with train.py, over a stage of one epoch at least, on a dataset of more captions."
        )
    return number


def _in_turn(script: Callable[[Config], float | None], config: Config) -> float | None:
    told = False
    while True:
        try:
            return script(config)
        except BusyError:
            if not told:
                _log.info("%s: another process is at it, and is waited for", config.run)
            told = True
            time.sleep(1)


def of_sweep(config: Config, overrides: Sequence[str]) -> Config:
    """The configuration of a job of a sweep, with folders of its own, named by the job's overrides.

    Those that training reads name the run within the sweep's folder, so that train.py and evaluate.py with the same
    overrides, in any order, mean the same run; the others name the evaluation within the run.

    Raises UserError if `out`, which is one folder, is to be that of every job.
    """
    if config.out:
        raise UserError(f"out={config.out} is one folder, and a sweep has one for each job. Leave it out.")
    trained, evaluated = list[str](), list[str]()
    for override in overrides:
        key = override.lstrip("+~").split("=")[0]
        if key not in _UNNAMED:
            (trained if _is_read_by_training(key) else evaluated).append(override.lstrip("+~"))
    run = config.run_folder / (_folder_name(trained) or "run")
    out = run / "evaluation" / _folder_name(evaluated)
    return replace(config, run=str(run), out=str(out))


def _is_read_by_training(key: str) -> bool:
    root = key.partition(".")[0]
    return root == "experiment" or root in {item.name for item in fields(Config)} - {"evaluation", "pictures"}


def _folder_name(overrides: Sequence[str]) -> str:
    # "/" and "-" do not become one: dataset=data/a is not dataset=data-a.
    name = "_".join(override.replace("=", "-").replace("/", "+") for override in sorted(overrides))
    encoded = name.encode()
    if len(encoded) <= LONGEST_NAME:
        return name
    return f"{encoded[:LONGEST_NAME].decode(errors='ignore')}_{hashlib.sha256(encoded).hexdigest()[:12]}"


class FinishedSweep(Callback):
    """Remembers a sweep that has come to its end (Hydra calls it, and would make a warning of an error raised here)."""

    config: ClassVar[DictConfig | None] = None
    defaults: ClassVar[DictConfig | None] = None

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Keep what the sweep was, and the configuration without overrides, which only Hydra composes."""
        FinishedSweep.config, FinishedSweep.defaults = config, compose("config")


def compare_sweep(sweep: DictConfig, default: DictConfig) -> None:
    """Show and save the comparison of what the script made in the sweep's folder: runs, or evaluations of them.

    Raises UserError, naming the folder or file, if one of them cannot be read, or the comparison not written.
    """
    from unicorn.evaluation.comparison import compare, flat_settings
    from unicorn.evaluation.comparison_page import comparison_tables, save_comparison
    from unicorn.report.table import facts_table, show

    folder = Path(sweep.hydra.sweep.dir)
    script = sweep.hydra.job.name
    made = "*/evaluation/**" if script == "evaluate" else "*"
    choices = _conf_choices()
    if comparison := compare(folder.glob(made), flat_settings(document(to_config(default)), choices), choices):
        page = save_comparison(comparison, folder, f"{script}_comparison")
        show(*comparison_tables(comparison), facts_table("Compared", {"runs": folder, "report": page}))


def _conf_choices() -> dict[str, dict[str, dict[str, Any]]]:
    """Of conf/: for each settings class, the choices that name it, and the plain values that each of them sets."""
    choices = defaultdict[str, dict[str, dict[str, Any]]](dict)
    for path in sorted(CONF.glob("*/*.yaml")):
        values = cast("dict[str, Any]", OmegaConf.to_container(OmegaConf.load(path)))
        if KIND in values:
            kind = values.pop(KIND)
            choices[kind][path.stem] = {key: value for key, value in values.items() if "${" not in str(value)}
    return choices


def lost_job() -> type[Exception] | tuple[()]:
    """What submitit, where it is in use, raises for a job that was killed or ran out of time."""
    submitit = sys.modules.get("submitit.core.utils")
    return submitit.UncompletedJobError if submitit else ()
