"""Checkpoints from a folder and from a Hub, which is a small server here."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import huggingface_hub.constants
import pytest

from unicorn.encoder.checkpoint import fetch, fetch_configuration, fetch_preparation, identity
from unicorn.encoder.llm2clip import LLM2CLIPSettings
from unicorn.errors import UserError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {
    "org/tower": {
        "config.json": b"{}",
        "preprocessor_config.json": b"{}",
        "model.safetensors": b"weights",
        "pytorch_model.bin": b"pickle",
        "onnx/model.safetensors": b"weights of another form",
    },
    "org/old": {"config.json": b"{}", "pytorch_model.bin": b"pickle", "training_args.bin": b"pickled code"},
}
BRANCHES = {"main": COMMIT, "next": COMMIT[::-1]}
REFUSED = {"org/gated": (403, "GatedRepo"), "org/none": (401, "RepoNotFound"), "org/tower": (404, "RevisionNotFound")}


class Hub(BaseHTTPRequestHandler):
    """What the Hub answers of one public model, one that is gated, and one that is not there."""

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""

    def _answer(self, body: bool) -> None:
        path, _, _ = self.path.removeprefix("/api/models").lstrip("/").partition("?")
        owner, model, *rest = path.split("/")
        name = f"{owner}/{model}"
        files = FILES.get(name, {})
        match rest:
            case ["resolve", _, *folders] if files:
                content = files["/".join(folders)]
                self._send(200, content if body else b"", {"ETag": f'"{folders[-1]}"', "Content-Length": len(content)})
            case ["tree", *_] if files:
                tree = [{"type": "file", "path": path, "size": len(files[path]), "oid": "0"} for path in files]
                self._send(200, json.dumps(tree).encode())
            case ["revision", revision] if files and revision in (COMMIT, *BRANCHES):
                sha = BRANCHES.get(revision, revision)
                siblings = [{"rfilename": path} for path in files]
                self._send(200, json.dumps({"id": name, "sha": sha, "siblings": siblings}).encode(), commit=sha)
            case _:
                status, code = REFUSED.get(name, (404, "EntryNotFound"))
                self._send(status, b"", {"X-Error-Code": code})

    def _send(
        self, status: int, content: bytes, headers: dict[str, str | int] | None = None, commit: str = COMMIT
    ) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": len(content), "X-Repo-Commit": commit, **(headers or {})}.items():
            self.send_header(key, str(value))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", endpoint)
    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    yield
    server.shutdown()
    server.server_close()


def test_a_folder_is_taken_as_it_is(tmp_path: Path):
    assert fetch(str(tmp_path), "main") == tmp_path


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def chosen(name: str, *paths: str) -> dict[str, bytes]:
    return {path: FILES[name][path] for path in paths}


@pytest.mark.usefixtures("hub")
def test_a_checkpoint_comes_from_the_hub_without_pickles_and_folders():
    expected = chosen("org/tower", "config.json", "preprocessor_config.json", "model.safetensors")
    assert files_of(fetch("org/tower", COMMIT)) == expected


@pytest.mark.usefixtures("hub")
def test_configuration_comes_alone():
    assert files_of(fetch_configuration("org/tower", "main")) == chosen("org/tower", "config.json")


@pytest.mark.usefixtures("hub")
def test_of_a_checkpoint_that_is_pickled_the_weights_alone_are_taken():
    assert files_of(fetch("org/old", COMMIT)) == chosen("org/old", "config.json", "pytorch_model.bin")


@pytest.mark.usefixtures("hub")
def test_a_preparation_comes_without_weights():
    assert files_of(fetch_preparation("org/tower", COMMIT)) == chosen("org/tower", "preprocessor_config.json")


@pytest.mark.usefixtures("hub")
def test_a_branch_is_the_commit_that_it_is_at(tmp_path: Path):
    assert identity("org/tower", "main") == identity("org/tower", COMMIT) == f"org/tower@{COMMIT[:12]}"
    assert identity("org/tower", "next") == f"org/tower@{COMMIT[::-1][:12]}"
    assert fetch("org/tower", "next").name == COMMIT[::-1]
    assert LLM2CLIPSettings(language_model="org/tower", language_model_revision="next").space.count(COMMIT[::-1][:12])


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize(
    ("name", "revision", "said"),
    [
        (
            "org/gated",
            "main",
            r"^org/gated is gated: ask for access at https://huggingface\.co/org/gated, and set",
        ),
        ("org/tower", "v9", r"^org/tower has no revision v9 on the Hub\. Name a commit, a branch or a tag\.$"),
        (
            "org/none",
            "main",
            r"^no checkpoint org/none: it is no folder here, and the Hub has none that you may read\.",
        ),
        ("not a name", "main", r"^no checkpoint not a name: it is no folder here"),
    ],
)
def test_what_cannot_be_had_is_one_line(name: str, revision: str, said: str):
    with pytest.raises(UserError, match=said):
        fetch(name, revision)


def test_a_hub_out_of_reach_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError, match=r"^cannot fetch org/far at main: .* Connect to the Hub, or name a folder\.$"):
        fetch("org/far", "main")
