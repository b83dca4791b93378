"""How the entry scripts run: help, composition by Hydra, one line for a user's mistake and exit code 2."""

import logging
import os
import re
import shlex
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, ClassVar, NoReturn, cast

import hydra
from hydra import compose
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.errors import HydraException, MissingConfigException
from hydra.experimental.callback import Callback
from hydra.plugins.config_source import ConfigResult
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from unicorn.config import KIND, Config, describe, document, to_config, typed, unknown_key
from unicorn.errors import StoppedError, UserError

CONF = Path(__file__).resolve().parent.parent / "conf"
HEAD_START_SECONDS = 15.0  # of the first rank, to say what went wrong
_UNNAMED = ("name", "run", "out", "stages")  # overrides that tell no run from another


class TypedConfigSource(FileConfigSource):
    """Reads conf/*.yaml and types each file by the settings dataclass that its `kind` names."""

    @staticmethod
    def scheme() -> str:
        """What a search path begins with to be read by this class."""
        return "typed"

    def load_config(self, config_path: str) -> ConfigResult:
        """The file, typed."""
        result = super().load_config(config_path)
        if isinstance(result.config, DictConfig):
            result.config = typed(result.config)
        return result


class TypedSearchPath(SearchPathPlugin):
    """Has the main configuration folder read through `TypedConfigSource`."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Change the scheme of the folder that `run` names."""
        for element in search_path.get_path():
            if element.provider == "main":
                element.path = f"{TypedConfigSource.scheme()}://{element.path}"


def run(script: Callable[[Config], None]) -> None:
    """Run an entry script's function on the composed configuration of the command line, and exit.

    Exit codes: 0 done, 2 a mistake that the user can mend (a line says which), 130 interrupted, 143 stopped by SIGTERM.
    """
    if {"--help", "-h"} & set(sys.argv[1:]):
        print(help_page(script))
        return
    # Hydra's own report of an error is many lines long and ends with code 1; this makes it raise instead.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    os.environ["HYDRA_MAIN_MODULE"] = script.__name__  # by which Hydra names the job
    if not sys.stderr.isatty():  # a loading bar in a log is noise
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    plugins = Plugins.instance()
    plugins.register(TypedConfigSource)
    plugins.register(TypedSearchPath)

    def job(composed: DictConfig) -> None:
        logging.basicConfig(format="%(message)s", level=logging.WARNING)  # here, as a job may be a process of its own
        logging.getLogger("unicorn").setLevel(logging.INFO)
        sweep = HydraConfig.get().mode == RunMode.MULTIRUN
        try:
            config = to_config(composed)
            script(of_sweep(config, HydraConfig.get().overrides.task) if sweep else config)
        except UserError as error:
            if sweep:  # it may have to travel from another process; Hydra says of which job it is
                raise
            _exit(f"error: {error}", code=2)
        except StoppedError as stopped:
            if _is_another_rank():
                sys.exit()
            _exit(f"{stopped} Go on with: {shlex.join(['python', *sys.argv])}", code=128 + signal.SIGTERM)
        except KeyboardInterrupt:
            _exit("interrupted: run the same command again to go on from here.", code=130)
        except Exception:
            _let_the_first_rank_speak()
            raise

    FinishedSweep.config = None
    try:
        hydra.main(config_path=str(CONF), config_name="config", version_base="1.3")(job)()
        if FinishedSweep.config is not None and FinishedSweep.defaults is not None:
            compare_sweep(FinishedSweep.config, FinishedSweep.defaults)
    except (UserError, HydraException, OmegaConfBaseException) as error:
        _exit(f"error: {_one_line(error)}", code=2)


def help_page(script: Callable[[Config], None]) -> str:
    """What can be chosen and how: the root keys, and every choice of every group with its first comment line."""
    name = Path(sys.argv[0]).name
    root = (CONF / "config.yaml").read_text()
    keys = root.split("# Keys\n")[1].split("\n\n")[0].splitlines()
    choices = [
        f"{f'{path.parent.name}={path.stem}':24}{'*' if _is_default(path, root) else ' '} {_summary(path)}"
        for path in sorted(CONF.glob("*/*.yaml"))
    ]
    return "\n".join(
        [
            (script.__doc__ or "").strip(),
            f"\nusage: python {name} [group=choice] [key=value] [-m for a sweep]",
            "\nKeys and their defaults:",
            *(f"  {line}" for line in keys),
            "\nGroups and their choices (defaults marked *):",
            *(f"  {line}" for line in choices),
            f"\npython {name} --cfg job prints every key with its value; group.key=value changes one.",
        ]
    )


def _is_default(path: Path, root: str) -> bool:
    default = re.search(rf"^  - {path.parent.name}: (.*)$", root, re.MULTILINE)
    return default is not None and path.stem in re.findall(r"\w+", default[1])


def _summary(path: Path) -> str:
    """The first comment of a YAML file that is no `# @package` line."""
    return next(line[2:] for line in path.read_text().splitlines() if re.match("# [^@]", line))


def _is_another_rank() -> bool:
    return os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")) != "0"


def _let_the_first_rank_speak() -> None:
    """Another rank waits, since the first most often has the same to say or is what failed, and they end with it.

    Where the first goes on, what has happened here has happened here alone, and is said.
    """
    if _is_another_rank():
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # by which torchrun ends it
        time.sleep(HEAD_START_SECONDS)


def _exit(line: str, *, code: int) -> NoReturn:
    _let_the_first_rank_speak()
    print(line, file=sys.stderr)
    sys.exit(code)


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
    return "_".join(override.replace("=", "-").replace("/", "+") for override in sorted(overrides))


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
    choices = conf_choices()
    if comparison := compare(folder.glob(made), flat_settings(document(to_config(default)), choices), choices):
        page = save_comparison(comparison, folder, f"{script}_comparison")
        show(*comparison_tables(comparison), facts_table("Compared", {"runs": folder, "report": page}))


def conf_choices() -> dict[str, dict[str, dict[str, Any]]]:
    """Of conf/: for each settings class, the choices that name it, and the plain values that each of them sets."""
    choices = defaultdict[str, dict[str, dict[str, Any]]](dict)
    for path in sorted(CONF.glob("*/*.yaml")):
        values = cast("dict[str, Any]", OmegaConf.to_container(OmegaConf.load(path)))
        if KIND in values:
            kind = values.pop(KIND)
            choices[kind][path.stem] = {key: value for key, value in values.items() if "${" not in str(value)}
    return choices


def _one_line(error: Exception) -> str:
    """Hydra's and OmegaConf's errors in the user's words: the key, the value, the choices."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, MissingConfigException):
        group, _, choice = str(error.missing_cfg_file).rpartition("/")
        choices = sorted(path.stem for path in (CONF / group).glob("*.yaml"))
        return f"unknown choice {group}={choice}. Choose from {', '.join(choices)}."
    cause = error
    while not isinstance(cause, OmegaConfBaseException) and (deeper := cause.__cause__ or cause.__context__):
        cause = cast("Exception", deeper)
    if isinstance(cause, (ConfigKeyError, ConfigAttributeError)) and isinstance(cause.parent_node, DictConfig):
        parent = str(cause.full_key or cause.key).removesuffix(str(cause.key))
        return unknown_key(parent, str(cause.key), [str(key) for key in cause.parent_node if key != "hydra"])
    if isinstance(cause, OmegaConfBaseException):
        return describe(cause)
    return " ".join(str(error).split())
