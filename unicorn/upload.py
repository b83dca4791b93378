"""A folder goes to the Hub, as it is."""

from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import HfApi

from unicorn.errors import UserError, in_a_line


def upload(
    folder: Path,
    repository: str,
    *,
    repo_type: str,
    private: bool,
    message: str,
    allow_patterns: Sequence[str] | None = None,
    ignore_patterns: Sequence[str] | None = None,
) -> str:
    """Push a folder to a repository of the Hub, which is made if need be; returns its address.

    Raises UserError where the Hub refuses.
    """
    try:
        api = HfApi()
        name = api.create_repo(repository, repo_type=repo_type, private=private, exist_ok=True).repo_id
        return str(
            api.upload_folder(
                repo_id=name,
                repo_type=repo_type,
                folder_path=folder,
                commit_message=message,
                allow_patterns=None if allow_patterns is None else list(allow_patterns),
                ignore_patterns=None if ignore_patterns is None else list(ignore_patterns),
            )
        )
    except Exception as error:  # of its own, or of the client below it, which changes with its version
        raise UserError(
            f"cannot push {folder} to {repository}: {in_a_line(error)}. Mend the name, log in by `hf auth login` or "
            f"HF_TOKEN, or connect to the Hub; the folder is as it was."
        ) from error
