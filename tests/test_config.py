"""Settings are typed by `kind`, keys are checked, and a saved configuration reads back as it was."""

from dataclasses import dataclass, field, fields
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from unicorn.config import Config, load_config, save_config, to_config, typed
from unicorn.errors import UserError


class Shape(Enum):
    ROUND = "round"
    SQUARE = "square"


@dataclass(kw_only=True)
class InnerSettings:
    depth: int = 2


@dataclass(kw_only=True)
class ToySettings:
    rate: float = 0.5
    shape: Shape = Shape.ROUND
    path: str | None = None
    inner: InnerSettings = field(default_factory=InnerSettings)


@dataclass(kw_only=True)
class NeedySettings:
    path: str


TOY = f"{__name__}.ToySettings"
GROUPS = [item.name for item in fields(Config) if item.type is Any]


def composed(**changes: object) -> DictConfig:
    root = {"seed": 0, "name": "toy", "dataset": "data", "run": "outputs/${name}", "out": None}
    root |= {"plan": False, "stages": None, "image_statistics": None}
    return OmegaConf.create(root | {group: {"kind": TOY} for group in GROUPS} | changes)


def test_kind_fills_in_the_defaults_and_keeps_the_differences() -> None:
    config = to_config(composed(transfer={"kind": TOY, "rate": 2, "inner": {"depth": 7}}))
    assert config.transfer == ToySettings(rate=2.0, inner=InnerSettings(depth=7))
    assert config.llm == ToySettings()
    assert config.run == "outputs/toy"


def test_a_root_key_with_a_kind_is_a_task() -> None:
    config = to_config(composed(geometry={"kind": TOY, "rate": 3}))
    assert config.tasks == {"geometry": ToySettings(rate=3.0)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"extra": 1}, "unknown key 'extra'"),
        ({"sede": 1}, "Did you mean 'seed'"),
        ({"seed": -1}, "seed=-1 is no seed of a random generator: choose one from 0 to 4294967295"),
        ({"seed": "abc"}, "wrong value for 'seed': Value 'abc'"),
        (
            {"transfer": {"kind": "nowhere.Settings"}},
            r"'nowhere\.Settings' cannot be imported \(.*\)\. Name a settings dataclass",
        ),
        ({"transfer": {"kind": f"{__name__}.Shape"}}, "is not a settings dataclass"),
        ({"seeds": {"kind": f"{__name__}.NeedySettings"}}, r"^seeds\.path has no value.*Set seeds\.path=\.\.\."),
    ],
)
def test_a_mistake_is_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        to_config(composed(**changes))


def test_a_key_forced_into_a_typed_node_is_named_with_its_path() -> None:
    config = typed(composed())
    OmegaConf.update(config, "transfer.inner.width", 1, force_add=True)
    with pytest.raises(UserError, match=r"unknown key 'transfer\.inner\.width'.*Known here: depth"):
        to_config(config)


def test_a_saved_configuration_reads_back(tmp_path: Path) -> None:
    config = to_config(composed(transfer={"kind": TOY, "shape": "SQUARE"}, scenes={"kind": TOY, "path": "here"}))
    save_config(config, tmp_path / "run" / "config.yaml")
    assert load_config(tmp_path / "run" / "config.yaml") == config


def test_a_missing_configuration_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no configuration at .*config\.yaml"):
        load_config(tmp_path / "config.yaml")


def test_stages_come_in_the_order_of_the_pipeline() -> None:
    config = to_config(composed(stages=["tune", "align"]))
    assert config.chosen_stages(("align", "tune")) == ["align", "tune"]
    config.stages = ["algin"]
    with pytest.raises(UserError, match=r"unknown stage 'algin'.*align, tune"):
        config.chosen_stages(("align", "tune"))
