"""A process that has imported everything and forks when it is told to run an entry script: no start-up to wait for.

A line on its standard input is a JSON list: a file for what is printed to standard error, the script, its arguments.
It answers with the process id and, when the process has ended, its exit code, negative for a signal.

A script that is to have a second rank has one forked before it begins, in place of the new process that Lightning
would start: a child of the first, as that would be, named SECOND once it is begun.
"""

import json
import os
import pkgutil
import runpy
import subprocess
import sys
import traceback
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from lightning.pytorch.strategies.launchers import subprocess_script
from lightning.pytorch.utilities import rank_zero_only
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM, PreTrainedTokenizerFast  # noqa: F401

import unicorn

SECOND = "second rank"


def run(script: str) -> int:
    """Run a script as `python` does; returns its exit code."""
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as error:
        return int(error.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def fork_second() -> None:
    """Have the next process that Lightning starts be one that is forked now."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(writer)
        with os.fdopen(reader) as told:
            line = told.readline()
        if not line:  # the first has ended before
            os._exit(0)
        Path("/proc/self/comm").write_text(SECOND)
        sys.argv, environment = json.loads(line)
        os.environ.update(environment)
        rank_zero_only.rank = 1
        os._exit(run(sys.argv[0]))
    os.close(reader)

    class Forked(subprocess.Popen[bytes]):
        def _execute_child(self, args: list[str], *options: Any) -> None:
            environment = options[5]
            os.write(writer, json.dumps([args[1:], environment]).encode() + b"\n")
            self.pid, self._child_created = child, True

    subprocess_script.subprocess = SimpleNamespace(Popen=Forked)  # type: ignore[assignment]


def main() -> None:
    for module in pkgutil.walk_packages(unicorn.__path__, "unicorn."):
        if ".engines." not in module.name:  # programs, of which one runs where vLLM is
            import_module(module.name)
    print("ready", flush=True)
    for line in sys.stdin:
        errors, script, *arguments = json.loads(line)
        child = os.fork()
        if not child:
            os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), sys.stderr.fileno())
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            if "trainer.devices=2" in arguments:
                fork_second()
            sys.argv = [script, *arguments]
            os._exit(run(script))  # and not take down, for seconds, all that was imported
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
