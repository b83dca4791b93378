"""A process that has imported everything and forks when it is told to run an entry script: no start-up to wait for.

A line on its standard input is a JSON list: a file for what is printed to standard error, the script, its arguments.
It answers with the process id and, when the process has ended, its exit code, negative for a signal.
"""

import json
import os
import pkgutil
import runpy
import sys
import traceback
from importlib import import_module

from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM, PreTrainedTokenizerFast  # noqa: F401

import unicorn


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


def main() -> None:
    for module in pkgutil.walk_packages(unicorn.__path__, "unicorn."):
        import_module(module.name)
    print("ready", flush=True)
    for line in sys.stdin:
        errors, script, *arguments = json.loads(line)
        child = os.fork()
        if not child:
            os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), sys.stderr.fileno())
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.argv = [script, *arguments]
            os._exit(run(script))  # and not take down, for seconds, all that was imported
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
