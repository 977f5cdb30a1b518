"""The Python suite against an extension that is built with AddressSanitizer, UndefinedBehaviorSanitizer and asserts, a file at a time.

    python tests/sanitize_suite.py [FILE ...] [--folder FOLDER]           all of tests/test_*.py, or these
    python tests/sanitize_suite.py --run SCRIPT [ARGUMENT ...]            one script, such as a fuzzer

Needs gcc with its libasan. The package is built into FOLDER (a temporary one; a named one is built once and kept, and a run that was ended goes on
behind the files that had passed). Python's own memory comes from malloc, so that its objects are watched too; leaks are not looked for: the
interpreter keeps memory until it ends. Child processes are watched as well: what they report lies in FOLDER/reports. Limits of address space
do not go with the sanitizer's terabytes of shadow: a hook of the child's own start makes them void. LEFT_OUT holds what cannot be judged here, and why.

The run ends at the first report (exit code 1) and tells the seconds of each file; a test that fails without a report is told, and is exit code 2."""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
STACK = 256 << 20
TIME, MEMORY = "measures time", "measures or limits memory"
LEFT_OUT = {}  # the beginning of a test's id within tests/: why
LIMITS_ARE_VOID = """import resource

_setrlimit, VOID = resource.setrlimit, (resource.RLIMIT_AS, resource.RLIMIT_DATA)
resource.setrlimit = lambda limit, values: None if limit in VOID else _setrlimit(limit, values)
"""


def build(folder):
    """The package with the watched extension, in FOLDER/lib."""
    if (folder / "lib" / "sitecustomize.py").exists():
        return
    command = [sys.executable, "setup.py", "-q", "build", "--build-base", folder / "build", "--build-lib", folder / "lib"]
    subprocess.run(command, cwd=ROOT, env=os.environ | {"T0NATIVE_SANITIZE": "1"}, check=True)
    (folder / "lib" / "sitecustomize.py").write_text(LIMITS_ARE_VOID)


def library(name):
    return subprocess.run(["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout.strip()


def watched_environment(folder):
    (folder / "reports").mkdir(exist_ok=True)
    options = {
        "detect_leaks": 0,
        "halt_on_error": 1,
        "exitcode": 99,
        "allocator_may_return_null": 1,
        "log_path": folder / "reports" / "report",
    }
    return (
        os.environ
        | {
            "LD_PRELOAD": f"{library('libasan.so')} {library('libstdc++.so')}",  # the second: for libraries in C++, whose exceptions pass the first
            "ASAN_OPTIONS": ":".join(f"{name}={value}" for name, value in options.items()),
            "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
            "PYTHONMALLOC": "malloc",
            "PYTHONPATH": str(folder / "lib"),
        }
    )


def deep_stack():
    """Frames are larger here; the depth that Python allows is the same."""
    most = resource.getrlimit(resource.RLIMIT_STACK)[1]
    resource.setrlimit(resource.RLIMIT_STACK, (STACK if most == resource.RLIM_INFINITY else min(STACK, most), most))


def test_file(path, folder):
    """(exit code, seconds, output)"""
    left_out = [f"--deselect=tests/{test}" for test in LEFT_OUT if test.startswith(f"{path.name}::")]
    command = [sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:faulthandler", "-rs", *left_out]
    begun = time.monotonic()
    done = subprocess.run(
        [*command, f"tests/{path.name}"],
        cwd=ROOT,
        env=watched_environment(folder),
        preexec_fn=deep_stack,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    return done.returncode, time.monotonic() - begun, done.stdout


def reports_in(folder):
    return sorted((folder / "reports").glob("report*"))


def show(reports):
    for report in reports:
        print(f"\n==== {report}\n{report.read_text(errors='replace')[:8000]}", flush=True)


def run_suite(files, folder):
    """Exit code: 1 at a report, 2 where a test failed, 0."""
    passed = folder / "passed.json"
    seconds, failed = json.loads(passed.read_text()) if passed.exists() else {}, []
    for path in files:
        if path.name in seconds:
            continue
        code, took, output = test_file(path, folder)
        print(f"{path.name}: {took:.0f} s, {output.strip().splitlines()[-1] if output.strip() else 'no output'}", flush=True)
        if reports := reports_in(folder):
            print(output[-8000:])
            show(reports)
            return 1
        if code not in (0, 5):  # 5: nothing to run
            print(output[-12000:], flush=True)
            failed.append(path.name)
            continue
        seconds[path.name] = took
        passed.write_text(json.dumps(seconds))
    print(f"{len(seconds)} files, {sum(seconds.values()):.0f} s, no report; {len(failed)} files with failing tests: {failed}")
    return 2 if failed else 0


def run_script(command, folder):
    code = subprocess.run([sys.executable, *command], env=watched_environment(folder), preexec_fn=deep_stack).returncode
    show(reports_in(folder))
    return 1 if reports_in(folder) else code


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--run", nargs=argparse.REMAINDER)
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folder = (asked.folder or Path(temporary)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        build(folder)
        if asked.run:
            return run_script(asked.run, folder)
        return run_suite(asked.files or sorted((ROOT / "tests").glob("test_*.py")), folder)


if __name__ == "__main__":
    sys.exit(main())
