"""From a run to a folder, a card and a repository of the Hub; and what the commands say."""

import re
import shutil
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
import transformers.utils.hub
from huggingface_hub import HfApi, ModelCard
from transformers import AutoModelForImageTextToText, AutoProcessor

from tests.encoder.tiny_towers import save_clip
from tests.hub.small_hub import SmallHub, serving
from tests.hub.worlds import GREEN, RED, picture, save, statistics
from unicorn import upload
from unicorn.errors import UserError
from unicorn.hub import UnicornProcessor, command_line
from unicorn.hub import export as exporting
from unicorn.hub.ask import ask
from unicorn.hub.export import export, push
from unicorn.hub.saved import check_model


def asked(model: Path, *pictures: Path) -> Namespace:
    """The arguments of `python -m unicorn.hub.ask`."""
    return Namespace(
        model=str(model),
        pictures=[str(each) for each in pictures],
        question="how many objects are there?",
        max_new_tokens=8,
        device="cpu",
    )


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    from unicorn.scenes.benchmark import SceneBenchmarkSettings

    shown = next(iter(SceneBenchmarkSettings(count=1).build().pictures()))
    shown.image.save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


@pytest.mark.usefixtures("small_evaluation")
def test_an_exported_model_answers_as_the_evaluated_one(
    small_run: Path, scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exporting.main(
        Namespace(run=small_run, out=tmp_path / "exported", towers=True, push=None, private=False, license=None)
    )
    assert str(tmp_path / "exported") in "".join(capsys.readouterr().out.split())
    check_model(tmp_path / "exported")
    answers: list[str] = []
    for model in (small_run / "model", tmp_path / "exported"):
        ask(asked(model, scene, scene))
        answers.append(capsys.readouterr().out)
    assert answers[0].strip()
    assert answers[0] == answers[1]


@pytest.mark.usefixtures("small_evaluation")
def test_the_card_says_what_it_is(small_run: Path, tmp_path: Path) -> None:
    export(small_run, tmp_path / "exported", address="org/model", license_name="apache-2.0")
    card = ModelCard.load(tmp_path / "exported" / "README.md")
    assert card.data.to_dict() == {
        "library_name": "transformers",
        "license": "apache-2.0",
        "pipeline_tag": "image-text-to-text",
        "tags": ["unicorn", "vision-language-model", "text-only-training"],
    }
    text = card.content
    for said in (
        "package:unicorn.scenes/weights/language_model",
        "scenes-",
        "MeanShift",
        "FullTune",
        "| align samples |",
    ):
        assert said in text
    assert re.search(r"\| accuracy \| 0\.\d{3} \| 0\.\d{3} \|", text)
    assert re.search(r"\| accuracy/colour \| [01]\.\d{3} \| [01]\.\d{3} \|", text)
    assert '.from_pretrained("org/model")' in text
    for limit in ("OCR", "counting", "fine detail", "taken for constant", "30 of them", "differ from"):
        assert limit in text
    assert str(small_run.parent) not in text


def test_of_a_run_that_was_not_evaluated_it_says_so(small_run: Path, tmp_path: Path) -> None:
    run = Path(
        shutil.copytree(small_run, tmp_path / "run", ignore=shutil.ignore_patterns("evaluation", "image_statistics"))
    )
    config = (run / "config.yaml").read_text()
    known = config.replace("package:unicorn.scenes/weights/language_model", "meta-llama/Meta-Llama-3-8B-Instruct")
    (run / "config.yaml").write_text(known)
    export(run, tmp_path / "exported", license_name=None)
    card = ModelCard.load(tmp_path / "exported" / "README.md")
    assert card.data.base_model == "meta-llama/Meta-Llama-3-8B-Instruct"
    assert "license" not in card.data.to_dict()
    assert "It has not been evaluated." in card.content
    assert "none yet: it has to be calibrated" in card.content
    export(run, tmp_path / "exported", license_name="mit")  # an export takes the place of another
    assert "license: mit" in (tmp_path / "exported" / "README.md").read_text()


def test_what_is_no_export_is_not_replaced(small_run: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(UserError, match=r"is there and is no exported model\. Name another --out, or delete it"):
        export(small_run, tmp_path, license_name=None)
    with pytest.raises(UserError, match=r"holds no model to be exported\. Name the folder of a run that train"):
        export(tmp_path, tmp_path / "out", license_name=None)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallHub]:
    """The Hub that huggingface_hub talks to."""
    with serving() as served:
        monkeypatch.setattr(upload, "HfApi", lambda: HfApi(endpoint=served.address, token="hf_none"))
        monkeypatch.setattr(transformers.utils.hub, "_hf_api", HfApi(endpoint=served.address))  # which it keeps
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", served.address)
        template = served.address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        yield served


def test_what_is_pushed_is_the_folder_and_answers_from_the_hub(hub: SmallHub, tmp_path: Path) -> None:
    folder = save(tmp_path / "model", statistics(RED, GREEN))
    (folder / "README.md").write_text("---\nlibrary_name: transformers\n---\n")
    assert push(folder, "me/colours", private=True).startswith(f"{hub.address}/me/colours")
    assert hub.made["visibility"] == "private"
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert hub.files["me/colours"] == files
    said = []
    for place in (folder, "me/colours"):
        model = AutoModelForImageTextToText.from_pretrained(place)
        inputs = AutoProcessor.from_pretrained(place)(images=picture(RED), text="what color is it ?")
        said.append(model.generate(**inputs, max_new_tokens=8, do_sample=False))
    assert torch.equal(*said)


def test_a_tower_of_this_machine_is_copied_before_a_push(hub: SmallHub, tmp_path: Path) -> None:
    folder = save(tmp_path / "model", encoder=save_clip(tmp_path / "clip"))
    with pytest.raises(UserError, match=r"the image tower is .*clip, which others do not have\. Export with --towers"):
        push(folder, "me/clip", private=False)
    assert not hub.files
    UnicornProcessor.from_pretrained(folder).image_processor.copy_towers(folder / "vision")
    push(folder, "me/clip", private=False)
    shutil.rmtree(tmp_path / "clip")
    shutil.rmtree(folder)
    loaded = AutoProcessor.from_pretrained("me/clip")
    assert torch.isfinite(loaded.image_processor.encoder.image_tower().encode([picture(RED)])).all()


def test_a_push_that_is_refused_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "HfApi", lambda: HfApi(endpoint="http://127.0.0.1:9", token="hf_none"))
    folder = save(tmp_path / "model")
    for name, reason in (("org/model", "Connection refused"), ("a name/of none", "Repo id must ")):
        with pytest.raises(UserError, match=rf"cannot push .* to {name}: .*{reason}.* log in by `hf auth login` or"):
            push(folder, name, private=False)


def test_a_mistake_is_one_line_and_exit_code_2(scene: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = scene.with_name("none.png")
    with pytest.raises(SystemExit, match="2"):
        command_line.run(ask, asked(scene.parent, missing))
    assert capsys.readouterr().err == f"error: no picture at {missing}. Name a file.\n"
    with pytest.raises(UserError, match=r"no picture at .*none\.png\. Name a file\."):
        ask(asked(scene.parent, missing))
    with pytest.raises(
        UserError, match=r"cannot load the model .* Name a run's folder model/, an exported one, or one on"
    ):
        ask(asked(scene.parent, scene))
