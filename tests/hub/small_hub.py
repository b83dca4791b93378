"""A Hub of one's own: models and datasets are pushed to it and loaded from it over HTTP by huggingface_hub itself."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class SmallHub:
    """What it holds: the files of each repository, by name; and what it was told when one was made."""

    def __init__(self) -> None:
        self.files: dict[str, dict[str, bytes]] = {}
        self.made: dict[str, Any] = {}
        self.address = ""

    def get(self, path: str) -> tuple[int, bytes, dict[str, str]]:
        """The answer to a GET or HEAD."""
        owner, model, *rest = _of_repository(path).partition("?")[0].split("/")
        files = self.files.get(f"{owner}/{model}", {})
        match rest:
            case ["resolve", _, *name] if (content := files.get("/".join(name))) is not None:
                return 200, content, {"ETag": f'"{sha1(content).hexdigest()}"'}
            case ["revision", _] if files:
                siblings = [{"rfilename": name} for name in files]
                answer = {"id": f"{owner}/{model}", "sha": COMMIT, "siblings": siblings}
                return 200, json.dumps(answer).encode(), {}
            case ["tree", _, *folder] if not folder:
                tree = [{"type": "file", "path": name, "size": len(files[name]), "oid": "0"} for name in files]
                return 200, json.dumps(tree).encode(), {}
            case _:
                return 404, b"", {"X-Error-Code": "EntryNotFound" if files else "RepoNotFound"}

    def post(self, path: str, body: bytes) -> dict[str, Any]:
        """The answer to a POST, by which repositories are made and filled."""
        if path == "/api/repos/create":
            self.made = json.loads(body)
            name = f"{self.made['organization']}/{self.made['name']}"
            self.files[name] = {}
            return {"url": f"{self.address}/{name}", "name": name, "id": "0"}
        if path == "/api/validate-yaml":
            return {"errors": [], "warnings": []}
        owner, model, step = _of_repository(path).split("/")[:3]
        if step == "preupload":
            return {
                "files": [
                    entry | {"uploadMode": "regular", "shouldIgnore": False} for entry in json.loads(body)["files"]
                ]
            }
        entries = [json.loads(line) for line in body.splitlines()]
        for value in (entry["value"] for entry in entries if entry["key"] == "file"):
            self.files[f"{owner}/{model}"][value["path"]] = base64.b64decode(value["content"])
        return {"commitOid": COMMIT, "commitUrl": f"{self.address}/{owner}/{model}/commit/{COMMIT}", "success": True}


def _of_repository(path: str) -> str:
    """What follows the kind of repository."""
    return path.removeprefix("/api").removeprefix("/models").removeprefix("/datasets").lstrip("/")


@contextmanager
def serving() -> Iterator[SmallHub]:
    """A Hub with nothing in it, at its `address` while the block runs."""
    hub = SmallHub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, content, headers = hub.get(self.path)
            self._send(status, content, headers)

        def do_HEAD(self) -> None:
            status, content, headers = hub.get(self.path)
            self._send(status, b"", headers | {"Content-Length": str(len(content))})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self._send(200, json.dumps(hub.post(self.path.partition("?")[0], body)).encode(), {})

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

        def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for key, value in {"Content-Length": str(len(content)), "X-Repo-Commit": COMMIT, **headers}.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.address = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
