"""How the entry scripts run: help, composition by Hydra, one line for a user's mistake and exit code 2."""

import logging
import os
import re
import shlex
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, cast

import hydra
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.errors import HydraException, MissingConfigException
from hydra.plugins.config_source import ConfigResult
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from unicorn.config import CONF, Config, describe, to_config, typed, unknown_key
from unicorn.errors import StoppedError, UserError, in_a_line
from unicorn.sweep import FinishedSweep, compare_sweep, lost_job, run_in_sweep

HEAD_START_SECONDS = 15.0  # of the first rank, to say what went wrong


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


def run(script: Callable[[Config], float | None]) -> None:
    """Run an entry script's function on the composed configuration of the command line, and exit.

    What it returns is what a sweep that searches makes small.
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
    # By default submitit warns with a signal that its handler answers by itself; at this one training saves.
    os.environ.setdefault("SUBMITIT_PREEMPT_SIGNAL", "TERM")
    plugins = Plugins.instance()
    plugins.register(TypedConfigSource)
    plugins.register(TypedSearchPath)

    def job(composed: DictConfig) -> float | None:
        logging.basicConfig(format="%(message)s", level=logging.WARNING)  # here, as a job may be a process of its own
        logging.getLogger("unicorn").setLevel(logging.INFO)
        sweep = HydraConfig.get().mode == RunMode.MULTIRUN
        try:
            config = to_config(composed)
            return run_in_sweep(script, config) if sweep else script(config)
        except UserError as error:
            if sweep:  # it may have to travel from another process; Hydra says of which job it is
                raise
            _exit(f"error: {error}", code=2)
        except StoppedError as stopped:
            if "SUBMITIT_EXECUTOR" in os.environ:  # it travels to the command by which to go on
                raise
            _stop(stopped)
        except Exception:
            _let_the_first_rank_speak()
            raise

    FinishedSweep.config = None
    try:
        hydra.main(config_path=str(CONF), config_name="config", version_base="1.3")(job)()
        if FinishedSweep.config is not None and FinishedSweep.defaults is not None and _is_first_rank():
            compare_sweep(FinishedSweep.config, FinishedSweep.defaults)
    except (UserError, HydraException, OmegaConfBaseException) as error:
        _exit(f"error: {_one_line(error)}", code=2)
    except lost_job() as error:
        _exit(
            f"error: a job left no result: {in_a_line(error)}. See the logs in .submitit of the sweep's folder.", code=2
        )
    except StoppedError as stopped:
        _stop(stopped)
    except KeyboardInterrupt:
        _exit("interrupted: run the same command again to go on from here.", code=130)


def help_page(script: Callable[[Config], float | None]) -> str:
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


def _let_the_first_rank_speak() -> None:
    """Another rank waits, since the first most often has the same to say or is what failed, and they end with it.

    Where the first goes on, what has happened here has happened here alone, and is said.
    """
    if not _is_first_rank():
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # by which torchrun ends it
        time.sleep(HEAD_START_SECONDS)


def _exit(line: str, *, code: int) -> NoReturn:
    _let_the_first_rank_speak()
    print(line, file=sys.stderr)
    sys.exit(code)


def _stop(stopped: StoppedError) -> NoReturn:
    if not _is_first_rank():
        sys.exit()
    _exit(f"{stopped} Go on with: {shlex.join(['python', *sys.argv])}", code=128 + stopped.number)


def _is_first_rank() -> bool:
    return os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")) == "0"


def _one_line(error: Exception) -> str:
    """Hydra's and OmegaConf's errors in the user's words: the key, the value, the choices."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, MissingConfigException):
        group, _, choice = str(error.missing_cfg_file).rpartition("/")
        if group.startswith("hydra/"):
            installed = ", ".join(error.options or ())
            return f"no {group}={choice} here. Choose from {installed}; pip install 'unicorn-vlm[sweep]' brings more."
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
