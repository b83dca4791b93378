"""Checkpoints from a folder and from a Hub, which is a small server here."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import huggingface_hub.constants
import pytest

from unicorn.encoder.checkpoint import fetch
from unicorn.errors import UserError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {"config.json": b"{}", "model.safetensors": b"weights", "pytorch_model.bin": b"pickle"}
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
        match [f"{owner}/{model}", *rest]:
            case ["org/tower", "resolve", _, name]:
                self._send(200, FILES[name] if body else b"", {"ETag": f'"{name}"', "Content-Length": len(FILES[name])})
            case ["org/tower", "tree", *_]:
                tree = [{"type": "file", "path": name, "size": len(FILES[name]), "oid": "0"} for name in FILES]
                self._send(200, json.dumps(tree).encode())
            case ["org/tower", "revision", revision] if revision == COMMIT:
                files = [{"rfilename": name} for name in FILES]
                self._send(200, json.dumps({"id": "org/tower", "sha": COMMIT, "siblings": files}).encode())
            case [name, *_]:
                status, code = REFUSED.get(name, (404, "EntryNotFound"))
                self._send(status, b"", {"X-Error-Code": code})

    def _send(self, status: int, content: bytes, headers: dict[str, str | int] | None = None) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": len(content), "X-Repo-Commit": COMMIT, **(headers or {})}.items():
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


@pytest.mark.usefixtures("hub")
def test_a_checkpoint_comes_from_the_hub_without_pickles():
    folder = fetch("org/tower", COMMIT)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        name: content for name, content in FILES.items() if name != "pytorch_model.bin"
    }


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
    with pytest.raises(UserError, match=r"^cannot fetch org/tower at main: .* Connect to the Hub, or name a folder\.$"):
        fetch("org/tower", "main")
