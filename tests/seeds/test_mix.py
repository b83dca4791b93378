"""A mix: how many of each part, which of them, and how Hydra composes it."""

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from synthesize import synthesize
from tests.conftest import composed, run_script
from tests.synthesis.stand_ins import ListedSeeds
from unicorn.config import plain, settings_of
from unicorn.errors import UserError
from unicorn.seeds import Sifting
from unicorn.seeds.domains import DomainsSettings
from unicorn.seeds.files import FilesSettings
from unicorn.seeds.filter import FilterSettings
from unicorn.seeds.hub import HubSeedsSettings
from unicorn.seeds.mix import MixSettings


class Listed:
    """Settings of numbered seeds."""

    def __init__(self, count: int) -> None:
        self._count = count

    def build(self) -> ListedSeeds:
        return ListedSeeds(self._count)


def captions(path: Path, numbers: list[int], name: str = "captions") -> FilesSettings:
    lines = [f'{{"id": "{number}", "text": "{name} {number}"}}' for number in numbers]
    (path / f"{name}.jsonl").write_text("\n".join(lines))
    return FilesSettings(path=str(path / f"{name}.jsonl"))


def part_of(identity: str) -> str:
    return identity.split("/")[0]


def test_counts_say_how_many_and_the_rest_give_all(tmp_path: Path) -> None:
    parts = {"open": captions(tmp_path, [*range(300)]), "listed": Listed(50), "more": Listed(40)}
    mix = MixSettings(parts=parts, counts={"open": 120, "listed": 7, "more": None}).build()
    seeds = list(mix)
    assert Counter(part_of(seed.id) for seed in seeds) == {"open": 120, "listed": 7, "more": 40}
    assert len(mix) == len(seeds) == len({seed.id for seed in seeds}) == 167
    assert list(mix) == seeds


def test_the_paper_s_mix_of_open_captions_and_domains(tmp_path: Path) -> None:
    (tmp_path / "birds.txt").write_text("\n".join(f"{letter} finch" for letter in "abcdef"))
    parts = {"open": captions(tmp_path, [*range(600)]), "domain": DomainsSettings(labels=str(tmp_path / "birds.txt"))}
    seeds = list(MixSettings(parts=parts, counts={"open": 550}).build())
    assert Counter(seed.domain for seed in seeds) == {"open": 550, "birds": 60}


def test_weights_share_out_a_total_or_all_there_is() -> None:
    parts = {"a": Listed(100), "b": Listed(300), "c": Listed(300)}
    weights: dict[str, float | None] = {"a": 1, "b": 2, "c": 0}
    counts = Counter(part_of(seed.id) for seed in MixSettings(parts=parts, weights=weights).build())
    assert counts == {"a": 100, "b": 200}
    counts = Counter(part_of(seed.id) for seed in MixSettings(parts=parts, weights=weights, total=60).build())
    assert counts == {"a": 20, "b": 40}


def test_which_are_drawn_is_a_matter_of_their_ids(tmp_path: Path) -> None:
    numbers = [*range(1000)]

    def drawn(numbers: list[int], count: int, **settings: Any) -> set[str]:
        parts = {"open": captions(tmp_path, numbers)}
        return {seed.id for seed in MixSettings(parts=parts, counts={"open": count}, **settings).build()}

    some = drawn(numbers, 300)
    assert drawn(random.Random(0).sample(numbers, 1000), 300) == some
    assert drawn(numbers, 200) < some
    assert len(drawn(numbers[:900], 270) & some) > 230  # and stays, where there are others
    assert 60 < len(drawn(numbers, 300, seed=1) & some) < 120  # of 300, 90 by chance
    positions = sorted(int(identity.split("/")[1]) for identity in some)
    assert 350 < positions[150] < 650  # from everywhere


def test_the_draw_is_the_same_by_hashes_and_by_the_seeds_themselves(tmp_path: Path) -> None:
    class Plain:
        def build(self) -> Any:
            return _Plain(captions(tmp_path, [*range(500)]).build())

    class _Plain:
        def __init__(self, source: Any) -> None:
            self.name, self._source = source.name, source

        def __len__(self) -> int:
            return len(self._source)

        def __iter__(self) -> Any:
            return iter(self._source)

    ids = [
        [seed.id for seed in MixSettings(parts={"a": part}, counts={"a": 99}).build()]
        for part in (captions(tmp_path, [*range(500)]), Plain())
    ]
    assert ids[0] == ids[1]


def test_the_name_changes_with_what_is_drawn(tmp_path: Path) -> None:
    parts = {"open": captions(tmp_path, [1, 2, 3])}
    others = [
        MixSettings(parts=parts),
        MixSettings(parts=parts, counts={"open": 2}),
        MixSettings(parts=parts, counts={"open": 2}, seed=1),
        MixSettings(parts={"shut": parts["open"]}, counts={"shut": 2}),
        MixSettings(parts={"open": captions(tmp_path, [1, 2, 4], "others")}, counts={"open": 2}),
    ]
    names = [settings.build().name for settings in others]
    assert len(set(names)) == 5
    assert MixSettings(parts=parts, counts={"open": 2}).build().name == names[1]


def test_what_the_parts_drop_is_told(tmp_path: Path) -> None:
    (tmp_path / "web.jsonl").write_text('{"id": "8", "text": "a cat on a mat"}\n{"id": "9", "text": "x"}\n')
    web = FilesSettings(path=str(tmp_path / "web.jsonl"), filter=FilterSettings(enabled=True, language=None))
    mix = MixSettings(parts={"web": web, "listed": Listed(2)}).build()
    assert isinstance(mix, Sifting)
    assert mix.rejected == {"too few words": 1}
    assert [(reject.id, reject.answer) for reject in mix.rejects()] == [("web/9", "x")]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"counts": {"b": 5}}, "the part 'b' of the mix has 4 seeds, and 5 are to be drawn. Lower seeds.counts.b= or"),
        ({"counts": {"c": 5}}, "seeds.counts.c: no such part. There are a, b"),
        ({"counts": {"a": -1}}, "seeds.counts.a=-1: a part gives 0 seeds or more"),
        (
            {"counts": {"a": 1}, "weights": {"a": 1}},
            "seeds.weights and seeds.counts both say how many seeds a",
        ),
        ({"weights": {"a": 1}}, "seeds.weights names no 'b'. Give every part its weight, be it 0"),
        ({"total": 5}, "seeds.total is shared out by seeds.weights, which is empty"),
        ({"counts": {"a": 0, "b": 0}}, "a mix of no seeds: set seeds.parts, and counts or weights above 0"),
    ],
)
def test_a_mistake_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        MixSettings(parts={"a": Listed(3), "b": Listed(4)}, **changes).build()


def test_hydra_composes_it_and_it_is_saved_and_read_back() -> None:
    config = composed("seeds=mix", "seeds.parts.open.path=a.csv", "seeds.counts.open=11", "seeds.parts.domain.labels=b")
    assert config.seeds == MixSettings(
        parts={"open": FilesSettings(path="a.csv"), "domain": DomainsSettings(labels="b")},
        counts={"open": 11, "domain": None},
        weights={"open": None, "domain": None},
    )
    assert settings_of(plain(config.seeds)) == config.seeds


def test_parts_are_exchanged_added_and_taken_away() -> None:
    config = composed(
        *("seeds=mix", "seeds@seeds.parts.open=hub", "seeds.parts.open.name=org/captions", "~seeds@seeds.parts.domain"),
        *("+seeds@seeds.parts.web=files", "seeds.parts.web.path=w", "seeds.parts.web.filter.enabled=true"),
    )
    web = FilesSettings(path="w", filter=FilterSettings(enabled=True))
    assert config.seeds.parts == {"open": HubSeedsSettings(name="org/captions"), "web": web}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seeds.parts.open.pth=a", "unknown key 'seeds.parts.open.pth'. Did you mean 'path'?"),
        ("+seeds.parts.open.pth=a", "unknown key 'seeds.parts.open.pth'. Did you mean 'path'?"),
        ("seeds.counts.opn=3", "unknown key 'seeds.counts.opn'. Did you mean 'open'?"),
        ("seeds.counts.open=many", "wrong value for 'seeds.counts.open': Value 'many'"),
        ("seeds.seed=0", "seeds.parts.open.path has no value, and no default."),
    ],
)
def test_a_wrong_key_is_named(override: str, message: str) -> None:
    path = [] if override == "seeds.seed=0" else ["seeds.parts.open.path=a"]
    finished = run_script(synthesize, "seeds=mix", *path, override)
    assert (finished.code, message in finished.err) == (2, True), finished.err
