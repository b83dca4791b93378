"""Stands for Slurm: `sbatch` begins a job's script on this machine, `srun` its tasks, `sacct` tells when it is done.

It sets what Slurm sets for them, as far as submitit and Lightning read it.
"""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ID = "77"


def install(folder: Path) -> None:
    """Put the three commands into `folder`, which is to be on the PATH."""
    for name in ("sbatch", "srun", "sacct"):
        command = folder / name
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{__file__}" {name} "{folder}" "$@"\n')
        command.chmod(0o755)


def sbatch(done: Path, script: str) -> None:
    """Begin the script, which leaves `done` at its end; its output would be that of a cluster's node."""
    flags = dict(re.findall(r"^#SBATCH --([\w-]+)=(.*)$", Path(script).read_text(), re.MULTILINE))
    told = {
        "SLURM_JOB_ID": ID,
        "SLURM_JOB_NAME": flags["job-name"],
        "SLURM_NTASKS": flags["ntasks-per-node"],
        "SLURM_NTASKS_PER_NODE": flags["ntasks-per-node"],
        "SLURM_NNODES": flags["nodes"],
        "SLURM_NODELIST": "localhost",
        "SLURM_NODEID": "0",
    }
    line = f"bash {shlex.quote(script)}; touch {shlex.quote(str(done))}"
    subprocess.Popen(line, shell=True, env=os.environ | told, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    print(f"Submitted batch job {ID}")


def srun(arguments: list[str]) -> None:
    """Run the command once for each task, which its rank tells from the others."""
    out, error = (arguments[arguments.index(flag) + 1] for flag in ("--output", "--error"))
    command = shlex.join(arguments[arguments.index("--error") + 2 :])
    tasks = list[subprocess.Popen[bytes]]()
    for rank in range(int(os.environ["SLURM_NTASKS"])):
        line = f"{command} > {out} 2> {error}".replace("%j", ID).replace("%t", str(rank))
        told = {"SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)}
        tasks.append(subprocess.Popen(line, shell=True, env=os.environ | told))
    sys.exit(max(task.wait() for task in tasks))


if __name__ == "__main__":
    done = Path(sys.argv[2]) / "done"
    match sys.argv[1]:
        case "sbatch":
            sbatch(done, sys.argv[-1])
        case "srun":
            srun(sys.argv[3:])
        case _:
            print(f"JobID|State|NodeList\n{ID}|{'COMPLETED' if done.exists() else 'RUNNING'}|localhost")
