"""Configuration: YAML names a settings class and holds the differences from its defaults.

A file `conf/<group>/<choice>.yaml` says `kind: package.module.XSettings`; what it holds besides is checked against that
dataclass, key by key and type by type, and every default lives there, once. `to_config` turns what Hydra composed into
plain objects; past the entry scripts no code sees an OmegaConf node.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any, TypeGuard, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
from yaml import YAMLError

from unicorn.errors import UserError
from unicorn.files import replacing

CONF = Path(__file__).resolve().parent.parent / "conf"
KIND = "kind"


@dataclass(kw_only=True)
class Config:
    """The root of conf/config.yaml, which documents every key. A group's value is its settings object."""

    seed: int
    plan: bool
    name: str
    dataset: str
    run: str | None
    out: str | None
    stages: list[str] | None
    image_statistics: str | None
    seeds: Any
    llm: Any
    synthesis: Any
    encoder: Any
    transfer: Any
    model: Any
    data: Any
    align: Any
    tune: Any
    trainer: Any
    logger: Any
    validation: Any
    planning: Any
    evaluation: Any
    pictures: Any
    tasks: dict[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**32:
            raise UserError(f"seed={self.seed} is no seed of a random generator: choose one from 0 to {2**32 - 1}.")

    @property
    def run_folder(self) -> Path:
        """The run's folder. Raises UserError if there is none."""
        if self.run is None:
            raise UserError("run=null names no run. Set run= to its folder, or name= to what it is called.")
        return Path(self.run)

    def chosen_stages(self, known: tuple[str, ...]) -> list[str]:
        """The stages to run, in the pipeline's order: all of `known`, or those that `stages` names."""
        chosen = known if self.stages is None else self.stages
        for stage in chosen:
            if stage not in known:
                raise UserError(f"unknown stage {stage!r} in stages={self.stages}. Choose from {', '.join(known)}.")
        return [stage for stage in known if stage in chosen]


def settings_class(path: str) -> type[Any]:
    """The dataclass of an import path, as a YAML's `kind` names it. Raises UserError if there is none."""
    module, _, name = path.rpartition(".")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(f"kind: {path!r} cannot be imported ({error}). Name a settings dataclass.") from error
    if not (isinstance(found, type) and is_dataclass(found)):
        raise UserError(f"kind: {path!r} is not a settings dataclass.")
    return found


def typed(node: DictConfig) -> DictConfig:
    """`node`, typed by its `kind` and filled with the defaults; the same for all within it that have a `kind`."""
    for key, child in list(node.items_ex(resolve=False)):
        if _holds_keys(child) and (settings := typed(child)) is not child:
            node[key] = settings
    if KIND not in node:
        return node
    differences = OmegaConf.create({key: value for key, value in node.items_ex(resolve=False) if key != KIND})
    return cast("DictConfig", OmegaConf.merge(OmegaConf.structured(settings_class(node[KIND])), differences))


def to_config(composed: DictConfig) -> Config:
    """The one conversion: composed nodes -> objects. Raises UserError naming a wrong key, type or missing value."""
    composed = typed(composed)
    known = {item.name for item in fields(Config)} - {"tasks"}
    tasks = [str(key) for key in composed if key not in known and _is_settings(composed, str(key))]
    for path, key, choices in _unknown_keys(composed, known | set(tasks)):
        raise UserError(unknown_key(path, key, choices))
    try:
        root = OmegaConf.masked_copy(composed, sorted(known & set(composed)))
        root = OmegaConf.merge(OmegaConf.structured(Config), root)
        config = cast("Config", OmegaConf.to_object(root))
        config.tasks = {name: OmegaConf.to_object(composed[name]) for name in tasks}
    except OmegaConfBaseException as error:
        raise UserError(describe(error)) from error
    return config


def save_config(config: Config, path: Path) -> None:
    """Write the whole configuration as YAML that `load_config` reads; defaults included, so that they may change."""
    with replacing(path) as temporary:
        temporary.write_text(OmegaConf.to_yaml(OmegaConf.create(document(config))))


def document(config: Config) -> dict[str, Any]:
    """The configuration as nested plain values, tasks beside the other keys as on the command line."""
    values = {item.name: plain(getattr(config, item.name)) for item in fields(Config) if item.name != "tasks"}
    return values | {name: plain(task) for name, task in config.tasks.items()}


def load_config(path: Path) -> Config:
    """The configuration that `save_config` wrote. Raises UserError naming the file."""
    try:
        return to_config(cast("DictConfig", OmegaConf.create(path.read_text())))
    except FileNotFoundError as error:
        raise UserError(f"no configuration at {path}. Name a run folder that train.py made.") from error
    except (UserError, OmegaConfBaseException, YAMLError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error} Restore it from a copy, or train again.") from error


def settings_of(values: dict[str, Any]) -> Any:
    """The settings that `plain` gave as plain values with their `kind`. Raises UserError if they are none."""
    try:
        return OmegaConf.to_object(typed(OmegaConf.create(values)))
    except OmegaConfBaseException as error:
        raise UserError(describe(error)) from error


def unknown_key(path: str, key: str, choices: list[str]) -> str:
    """One line for a key that is not there: its name, its nearest neighbour, and its would-be siblings."""
    near = get_close_matches(key, choices, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"unknown key '{path}{key}'.{hint} Known here: {', '.join(sorted(choices))}."


def describe(error: OmegaConfBaseException) -> str:
    """One line for a value that a dataclass refuses: its key, and why."""
    if isinstance(error, MissingMandatoryValue):
        return f"{error.full_key} has no value, and no default. Set {error.full_key}=..."
    reason = str(error.msg or error).split("\n")[0]
    return f"wrong value for '{error.full_key}': {reason}." if error.full_key else f"{reason}."


def _holds_keys(node: object) -> TypeGuard[DictConfig]:
    return isinstance(node, DictConfig) and not node._is_none()  # pyright: ignore[reportPrivateUsage]


def _is_settings(node: DictConfig, key: str) -> bool:
    child = node._get_node(key)  # pyright: ignore[reportPrivateUsage]  # interpolations stay unresolved
    return isinstance(child, DictConfig) and is_dataclass(OmegaConf.get_type(child))


def _unknown_keys(node: DictConfig, known: set[str], path: str = "") -> Iterator[tuple[str, str, list[str]]]:
    """Keys that were forced in with `+`, which a typed node then holds beside its own."""
    for name, child in node.items_ex(resolve=False):
        key = str(name)
        if key not in known:
            yield path, key, sorted(known)
        elif _holds_keys(child):
            kind = OmegaConf.get_type(child)
            within = {item.name for item in fields(kind)} if is_dataclass(kind) else set(map(str, child))
            yield from _unknown_keys(child, within, f"{path}{key}.")


def plain(value: Any) -> Any:
    """Settings as plain values with their `kind`, as a YAML file would say them; anything else as it is."""
    if not is_dataclass(value):
        return value
    kind = type(value)
    values = cast("dict[str, Any]", OmegaConf.to_container(OmegaConf.structured(value), enum_to_str=True))
    for item in fields(value):
        if isinstance(held := getattr(value, item.name), dict):
            values[item.name] |= {name: plain(part) for name, part in held.items() if is_dataclass(part)}
    return {KIND: f"{kind.__module__}.{kind.__qualname__}"} | values
