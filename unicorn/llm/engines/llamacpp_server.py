"""A server of llama.cpp on one GGUF file, as a process of its own; unicorn.llm.llamacpp starts it.

It writes its address to its standard output when the model is loaded, what llama.cpp has to say to its standard error,
and ends with its standard input: whatever way its parent ends, the system closes that.
"""

import json
import os
import signal
import sys

from xllamacpp import CommonParams, Server  # pyright: ignore[reportAttributeAccessIssue]

ERRORS = 1  # alone; a line for every request would fill a disk


def main() -> None:
    """Serve until the standard input ends."""
    settings = json.loads(sys.argv[1])
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a cluster sends it to all; its parent finishes what is in flight
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # llama.cpp logs to both
    parameters = CommonParams()
    parameters.model.path = settings["path"]
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0  # any that is free
    parameters.verbosity = ERRORS
    parameters.n_parallel = settings["parallel"]
    parameters.n_ctx = settings["parallel"] * settings["context"]
    if settings["threads"]:
        parameters.cpuparams.n_threads = settings["threads"]
        parameters.cpuparams_batch.n_threads = settings["threads"]
    server = Server(parameters)
    print(server.listening_address, file=out, flush=True)
    sys.stdin.read()
    os._exit(0)  # at once, whatever it is answering


if __name__ == "__main__":
    main()
