"""From a run to a folder, a card and a repository of the Hub; and what the commands say."""

import re
import shutil
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from huggingface_hub import HfApi, ModelCard

from tests.encoder.tiny_towers import save_clip
from tests.hub.worlds import RED, picture, save
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
    with pytest.raises(
        UserError, match=r"holds no model to be exported\. Name the folder of a run that train"
    ):
        export(tmp_path, tmp_path / "out", license_name=None)


class Hub:
    """What huggingface_hub's HfApi does of a push, into a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.private = False

    def create_repo(self, repository: str, *, private: bool, exist_ok: bool) -> SimpleNamespace:
        assert exist_ok
        self.private = private
        return SimpleNamespace(repo_id=f"me/{repository}")

    def upload_folder(self, *, repo_id: str, folder_path: Path, commit_message: str) -> str:
        assert commit_message
        shutil.copytree(folder_path, self.folder / repo_id)
        return f"https://huggingface.co/{repo_id}"


def test_a_push_is_the_folder_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub(tmp_path / "hub")
    monkeypatch.setattr(exporting, "HfApi", lambda: hub)
    folder = save(tmp_path / "model")
    assert push(folder, "colours", private=True) == "https://huggingface.co/me/colours"
    assert hub.private
    pushed = tmp_path / "hub" / "me" / "colours"
    check_model(pushed)
    assert {path.name for path in pushed.rglob("*")} == {path.name for path in folder.rglob("*")}


def test_a_tower_of_this_machine_is_copied_before_a_push(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "HfApi", lambda: Hub(tmp_path / "hub"))
    folder = save(tmp_path / "model", encoder=save_clip(tmp_path / "clip"))
    with pytest.raises(UserError, match=r"the image tower is .*clip, which others do not have\. Export with --towers"):
        push(folder, "colours", private=False)
    UnicornProcessor.from_pretrained(folder).image_processor.copy_towers(folder / "vision")
    push(folder, "colours", private=False)
    shutil.rmtree(tmp_path / "clip")
    shutil.rmtree(folder)
    loaded = UnicornProcessor.from_pretrained(tmp_path / "hub" / "me" / "colours")
    assert torch.isfinite(loaded.image_processor.encoder.image_tower().encode([picture(RED)])).all()


def test_a_push_that_is_refused_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "HfApi", lambda: HfApi(endpoint="http://127.0.0.1:9", token="hf_none"))
    folder = save(tmp_path / "model")
    for name, reason in (("org/model", "Connection refused"), ("a name/of none", "Repo id must ")):
        with pytest.raises(UserError, match=rf"cannot push to {name}: .*{reason}.* log in by `hf auth login` or"):
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
