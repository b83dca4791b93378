"""Labels in templates: which are drawn, what they come to, and labels as datasets write them."""

import random
import re
from pathlib import Path

import datasets
import pytest

from unicorn.errors import UserError
from unicorn.seeds.banks import Labels, domains, load_bank
from unicorn.seeds.domains import DomainsSettings
from unicorn.seeds.files import FilesSettings
from unicorn.seeds.labels import clean

SAMPLES = {
    Labels.COMMON: ["apple", "hourglass", "rice", "scissors", "bird of prey", "Unicorn"],
    Labels.MODELS: ["Audi A5", "Boeing 747", "Mercedes-Benz S-Class", "Lotus Elise"],
    Labels.NAMES: ["Eiffel Tower", "Big Ben", "the Alhambra"],
    Labels.ACTIVITIES: ["archery", "playing the violin", "chess"],
}


def labels(folder: Path, *lines: str, domain: str = "food") -> DomainsSettings:
    (folder / f"{domain}.txt").write_text("\n".join(lines))
    return DomainsSettings(labels=str(folder / f"{domain}.txt"))


def test_there_are_18_domains_of_20_templates_or_more() -> None:
    assert len(domains()) == 18
    for domain in domains():
        templates = load_bank(domain, None).templates
        assert len(set(templates)) == len(templates) >= 20, domain


@pytest.mark.parametrize("domain", domains())
def test_every_template_takes_every_kind_of_label(domain: str) -> None:
    bank = load_bank(domain, None)
    for template in bank.templates:
        for placeholder in re.findall(r"\{[Aa]n? [^}]*\}", template):
            assert re.fullmatch(r"[Aa]n? .*apple", bank.fill(placeholder, "apple"))
        # A verb after a label would have to know its number, and a name has no plural.
        assert not re.search(r"labels?\} (?:is|are|was|were|has|have|looks|stands|sits)\b", template)
        assert "labels}" not in template or bank.labels is Labels.COMMON
        for label in SAMPLES[bank.labels]:
            text = bank.fill(template, label)
            assert text[0].isupper() or text[0].isdigit()
            assert not re.search(r"[{}]|  |\ba (?=[aeio])|\ban (?=[^aeiouhAEIOUHS])|\bthe the\b", text), text
            assert text.endswith(".")


@pytest.mark.parametrize(
    ("domain", "template", "label", "expected"),
    [
        ("food", "An image of {a delicious label}.", "apple pie", "An image of a delicious apple pie."),
        ("food", "An image of {a delicious label}.", "french fries", "An image of delicious french fries."),
        ("food", "An image of {a delicious label}.", "fried rice", "An image of delicious fried rice."),
        ("food", "{A label} on a plate.", "omelette", "An omelette on a plate."),
        ("food", "{A label} on a plate.", "sushi", "Sushi on a plate."),
        ("animals", "Two {labels} in {the label}'s den.", "wolf", "Two wolves in the wolf's den."),
        ("objects", "{Labels} and {an old label}.", "scissors", "Scissors and old scissors."),
        ("objects", "{Labels}, {an old label}.", "hourglass", "Hourglasses, an old hourglass."),
        ("cars", "{A used label}, and {a label}.", "Audi A5", "A used Audi A5, and an Audi A5."),
        ("cars", "{A label}.", "Lotus Elise", "A Lotus Elise."),
        ("landmarks", "{The label} at night.", "Eiffel Tower", "The Eiffel Tower at night."),
        ("landmarks", "{The label} at night, {the old label}.", "Big Ben", "Big Ben at night, the old Big Ben."),
        ("activities", "A man {doing label}, or {label}.", "chess", "A man playing chess, or chess."),
    ],
)
def test_a_template_is_filled(domain: str, template: str, label: str, expected: str) -> None:
    assert load_bank(domain, None).fill(template, label) == expected


def test_each_label_has_ten_templates_of_its_own_drawing(tmp_path: Path) -> None:
    names = ["apple pie", "ramen", "waffles", "tacos", "pizza"]
    seeds = list(labels(tmp_path, *names).build())
    assert len(seeds) == 50
    assert len({seed.id for seed in seeds}) == len({seed.text for seed in seeds}) == 50
    assert {(seed.domain, seed.source) for seed in seeds} == {("food", "food.txt")}
    patterns = [re.sub(r"\b(a|an|A|An) ", "", seed.text.lower()) for seed in seeds]
    assert len(set(patterns)) > 40
    assert len(list(labels(tmp_path, *names).build())) == 50


def test_neither_order_nor_other_labels_change_a_seed(tmp_path: Path) -> None:
    names = [f"dish {letter}" for letter in "abcdefgh"]
    seeds = {seed.id: seed.text for seed in labels(tmp_path, *names).build()}
    shuffled = {seed.id: seed.text for seed in labels(tmp_path, *random.Random(0).sample(names, 8)).build()}
    fewer = {seed.id: seed.text for seed in labels(tmp_path, *names[3:]).build()}
    assert seeds == shuffled
    assert fewer.items() < seeds.items()


def test_the_name_and_the_draw_change_with_the_seed(tmp_path: Path) -> None:
    settings = labels(tmp_path, "apple pie", "ramen")
    name, texts = settings.build().name, {seed.text for seed in settings.build()}
    settings.seed = 1
    assert settings.build().name != name
    assert {seed.text for seed in settings.build()} != texts
    settings.seed, settings.per_label = 0, 20
    assert {seed.text for seed in settings.build()} > texts


def test_ids_are_those_of_the_same_captions_in_a_file(tmp_path: Path) -> None:
    seeds = list(labels(tmp_path, "apple pie").build())
    (tmp_path / "s.txt").write_text("\n".join(seed.text for seed in seeds))
    again = FilesSettings(path=str(tmp_path / "s.txt"), domain="food").build()
    assert [seed.id for seed in again] == [seed.id for seed in seeds]


def test_a_folder_has_a_file_for_each_domain(tmp_path: Path) -> None:
    labels(tmp_path, "# of the garden", "robin", "", "wren", "robin", domain="birds")
    labels(tmp_path, "Eiffel Tower", domain="landmarks")
    seeds = list(DomainsSettings(labels=str(tmp_path), per_label=2).build())
    assert [seed.domain for seed in seeds] == ["birds"] * 4 + ["landmarks"] * 2


def test_the_labels_of_a_dataset_are_its_class_names(tmp_path: Path) -> None:
    features = datasets.Features(
        {"label": datasets.ClassLabel(names=["apple_pie", "french_fries"]), "split": datasets.ClassLabel(names=["a"])}
    )
    datasets.Dataset.from_dict({"label": [0], "split": [0]}, features).save_to_disk(tmp_path / "food101")
    settings = DomainsSettings(dataset=str(tmp_path / "food101"), domain="food", column="label", per_label=3)
    texts = [seed.text.lower() for seed in settings.build()]
    assert [("apple pie" in text, "french fries" in text) for text in texts] == [(True, False)] * 3 + [
        (False, True)
    ] * 3
    settings.column = None
    with pytest.raises(UserError, match=r"cannot be told: its columns of classes are label, split\. Set"):
        settings.build()
    datasets.Dataset.from_dict({"text": ["a"]}).save_to_disk(tmp_path / "none")
    settings.dataset = str(tmp_path / "none")
    with pytest.raises(UserError, match="cannot be told: none of its columns is a ClassLabel"):
        settings.build()


def test_a_dataset_that_cannot_be_had_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise ConnectionError("no route to the Hub")

    monkeypatch.setattr(datasets, "load_dataset_builder", unreachable)
    with pytest.raises(UserError, match=r"the dataset a/b cannot be had \(no route to the Hub\)\. Mend"):
        DomainsSettings(dataset="a/b", domain="food").build()


def test_ones_own_bank_goes_before(tmp_path: Path) -> None:
    (tmp_path / "radiographs.yaml").write_text("labels: common\ntemplates:\n  - A radiograph of {a label}.\n")
    labels(tmp_path, "MRI phantom", domain="radiographs")
    settings = DomainsSettings(labels=str(tmp_path), templates=str(tmp_path), per_label=1)
    assert [seed.text for seed in settings.build()] == ["A radiograph of an MRI phantom."]


@pytest.mark.parametrize(
    ("kind", "label", "expected"),
    [
        (Labels.COMMON, "n01440764 tench, Tinca tinca", "tench"),
        (Labels.COMMON, "n01440764_tench", "tench"),
        (Labels.COMMON, "tench.n.01", "tench"),
        (Labels.COMMON, "001.Black_footed_Albatross", "Black footed Albatross"),
        (Labels.COMMON, "drumstick (food)", "drumstick"),
        (Labels.COMMON, "/a/apartment_building/outdoor", "outdoor apartment building"),
        (Labels.COMMON, "french_fries ", "french fries"),
        (Labels.COMMON, "8-track", "8-track"),
        (Labels.MODELS, "F-16A/B", "F-16A/B"),
        (Labels.MODELS, "707-320", "707-320"),
        (Labels.MODELS, "Audi_A5_Coupe_2012", "Audi A5 Coupe 2012"),
        (Labels.NAMES, "Yosemite, California", "Yosemite, California"),
        (Labels.ACTIVITIES, "PlayingGuitar", "playing guitar"),
    ],
)
def test_a_label_is_cleaned(kind: Labels, label: str, expected: str) -> None:
    assert clean(label, kind) == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "labels come from a file or from a dataset: set one of seeds.labels= and seeds.dataset="),
        ({"labels": "{tmp}/none.txt"}, r"no labels at .*none\.txt\. Set seeds\.labels= to a text file, or a folder"),
        ({"labels": "{tmp}/cars.txt", "per_label": 0}, "per_label=0: a label has 1 template or more"),
        ({"labels": "{tmp}/cars.txt", "per_label": 99}, "per_label=99 is more than the 24 templates of cars"),
        (
            {"labels": "{tmp}/cars.txt", "domain": "jokes"},
            r"no templates for the domain 'jokes'. Set seeds\.domain= to",
        ),
        ({"labels": "{tmp}/empty.txt", "domain": "cars"}, "no labels: the files are empty. They have one label a line"),
        ({"labels": "{tmp}/odd.txt", "domain": "cars"}, r"odd\.txt: the label '__' says nothing\. Mend or remove it"),
        ({"labels": "{tmp}/binary.txt"}, r"binary\.txt cannot be read as labels \(.*\)\. It has one a line"),
        (
            {"labels": "{tmp}/bad.txt", "templates": "{tmp}"},
            r"bad\.yaml: the template 'a thing' has no placeholder such as",
        ),
        (
            {"labels": "{tmp}/worse.txt", "templates": "{tmp}"},
            r"worse\.yaml is no bank of templates \(.* 'labels', which",
        ),
    ],
)
def test_a_mistake_is_named(changes: dict[str, object], message: str, tmp_path: Path) -> None:
    for name, content in {"cars": b"Audi A5\n", "empty": b"\n", "odd": b"Audi A5\n__\n", "binary": b"\xff"}.items():
        (tmp_path / f"{name}.txt").write_bytes(content)
    for name, content in {"bad": "labels: common\ntemplates: [a thing]", "worse": "labels: odd"}.items():
        (tmp_path / f"{name}.txt").write_text("a label")
        (tmp_path / f"{name}.yaml").write_text(content)
    settings = {key: each.format(tmp=tmp_path) if isinstance(each, str) else each for key, each in changes.items()}
    with pytest.raises(UserError, match=message):
        DomainsSettings(**settings).build()  # pyright: ignore[reportArgumentType]
