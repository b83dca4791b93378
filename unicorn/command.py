"""How the entry scripts run: help, composition by Hydra, one line for a user's mistake and exit code 2."""

import logging
import os
import sys
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

from unicorn.config import Config, describe, to_config, typed, unknown_key
from unicorn.errors import UserError

CONF = Path(__file__).resolve().parent.parent / "conf"


class TypedConfigSource(FileConfigSource):
    """Reads conf/*.yaml and types each file by the settings dataclass that its `kind` names."""

    @staticmethod
    def scheme() -> str:
        return "typed"

    def load_config(self, config_path: str) -> ConfigResult:
        result = super().load_config(config_path)
        if isinstance(result.config, DictConfig):
            result.config = typed(result.config)
        return result


class TypedSearchPath(SearchPathPlugin):
    """Has the main configuration folder read through `TypedConfigSource`."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for element in search_path.get_path():
            if element.provider == "main":
                element.path = f"{TypedConfigSource.scheme()}://{element.path}"


def run(script: Callable[[Config], None]) -> None:
    """Run an entry script's function on the composed configuration of the command line, and exit.

    Exit codes: 0 done, 2 a mistake that the user can mend (one line says which), 130 interrupted.
    """
    if {"--help", "-h"} & set(sys.argv[1:]):
        print(help_page(script))
        return
    # Hydra's own report of an error is many lines long and ends with code 1; this makes it raise instead.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    plugins = Plugins.instance()
    plugins.register(TypedConfigSource)
    plugins.register(TypedSearchPath)

    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    logging.getLogger("unicorn").setLevel(logging.INFO)

    def job(composed: DictConfig) -> None:
        try:
            script(_of_this_job(to_config(composed)))
        except UserError as error:
            _exit(f"error: {error}", code=2)
        except KeyboardInterrupt:
            _exit("interrupted: run the same command again to go on from here.", code=130)

    try:
        hydra.main(config_path=str(CONF), config_name="config", version_base="1.3")(job)()
    except (UserError, HydraException, OmegaConfBaseException) as error:
        _exit(f"error: {_one_line(error)}", code=2)


def help_page(script: Callable[[Config], None]) -> str:
    """What can be chosen and how: the first comment line of every choice of every group, and the root keys."""
    name = Path(sys.argv[0]).name
    lines = [(script.__doc__ or "").strip(), "", f"usage: python {name} [group=choice] [key=value] [-m for a sweep]", ""]
    lines += ["Keys and their defaults:"]
    root = (CONF / "config.yaml").read_text().split("# Keys\n")[1].split("\n\n")[0]
    lines += [f"  {line}" for line in root.splitlines()]
    lines += ["", "Groups and their choices (defaults marked *):"]
    defaults = (CONF / "config.yaml").read_text()
    for group in sorted(path for path in CONF.iterdir() if path.is_dir()):
        for choice in sorted(group.glob("*.yaml")):
            mark = "*" if f"  - {group.name}: {choice.stem}\n" in defaults else " "
            summary = next((line[2:] for line in choice.read_text().splitlines() if line.startswith("# ") and "@" not in line), "")
            lines.append(f"  {f'{group.name}={choice.stem}':28}{mark} {summary}")
    lines += ["", f"python {name} --cfg job prints every key with its value; group.key=value changes one."]
    return "\n".join(lines)


def _exit(line: str, *, code: int) -> NoReturn:
    print(line, file=sys.stderr)
    sys.exit(code)


def _of_this_job(config: Config) -> Config:
    """In a sweep every job has a run folder of its own, named by what differs."""
    job = HydraConfig.get()
    if job.mode == RunMode.MULTIRUN:
        config.run = f"{config.run}/{job.job.override_dirname.replace('/', '-')}"
    return config


def _one_line(error: Exception) -> str:
    """Hydra's and OmegaConf's errors in the user's words: the key, the value, the choices."""
    if isinstance(error, MissingConfigException):
        group, _, choice = str(error.missing_cfg_file).rpartition("/")
        choices = sorted(path.stem for path in (CONF / group).glob("*.yaml"))
        return f"unknown choice {group}={choice}. Choose from {', '.join(choices)}."
    cause = error
    while not isinstance(cause, OmegaConfBaseException) and (deeper := cause.__cause__ or cause.__context__):
        cause = cast(Exception, deeper)
    if isinstance(cause, (ConfigKeyError, ConfigAttributeError)) and isinstance(cause.parent_node, DictConfig):
        parent = str(cause.full_key or cause.key).removesuffix(str(cause.key))
        return unknown_key(parent, str(cause.key), [str(key) for key in cause.parent_node if key != "hydra"])
    if isinstance(cause, OmegaConfBaseException):
        return describe(cause)
    return " ".join(str(error).split())
