"""The Python suite against the extension built with AddressSanitizer, UndefinedBehaviorSanitizer and asserts, a file at a time.

    python tests/sanitize_suite.py [FILE ...] [--folder build/sanitized-suite]       all of tests/test_*.py, or these

Each file runs by tests/sanitized in a process of its own. FOLDER keeps what has passed, so that a run that was ended goes on (remove it to begin
anew), and the reports: those of child processes, too, of which a test may not tell, and which run under the sanitizers even where they are given an
environment of their own. Limits of address space are void, for they do not go with the sanitizer's terabytes of shadow; those of processor
time are 20 times as long. LEFT_OUT holds what cannot be judged here, and why.

The run ends at the first report (exit code 1) and tells the seconds of each file; tests that fail without a report are told at the end (exit
code 2)."""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
STACK = 256 << 20  # frames are larger here; the depth that Python allows is the same
TIME, MEMORY, LIBRARY = "measures time", "measures or limits memory", "loads a library of its own before all others"
BROWSER = "starts a browser, which does not start under the sanitizers' library"
LEFT_OUT = {  # the beginning of a test's id, without the folder: why
    "test_added_tokens.py::test_a_long_text_of_tokens_takes_linear_time": TIME,
    "test_allocations.py::test_allocations_of_the_core": LIBRARY,
    "test_figures.py::test_the_page_in_a_browser": BROWSER,
    "test_forecast.py::test_the_memory_of_a_forecast_is_that_of_a_run": MEMORY,
    "test_interrupt.py::test_ctrl_c_stops_a_call_and_the_model_lives_on": TIME,
    "test_mini.py::test_rows_are_fast": TIME,
    "test_prompts.py::test_all_installed_prompts_load_and_compile": TIME,
    "test_studio_browser.py::": BROWSER,
    "test_studio_editor.py::": BROWSER,
    "test_studio_pages.py::test_comparing_hostile_texts_takes_no_time": TIME,
    "test_studio_workers.py::test_the_kernel_stops_what_the_evaluator_does_not": TIME,
    "test_t5x.py::test_no_layout_is_held_in_memory": MEMORY,
    "test_tokenizer.py::test_a_megabyte_of_anything_takes_linear_time": TIME,
    "test_tokenizer.py::test_nothing_is_leaked": MEMORY,
    "test_tokenizer_files.py::test_a_whole_vocabulary_is_read_soon": TIME,
    "test_tokenizer_inputs.py::test_loading_takes_little_memory": MEMORY,
    "test_yaml_limits.py::test_the_bomb_takes_no_memory": MEMORY,
}
START = """import os, resource, signal, subprocess

_setrlimit, _setitimer, _init = resource.setrlimit, signal.setitimer, subprocess.Popen.__init__
KEPT = {name: os.environ[name] for name in ("LD_PRELOAD", "ASAN_OPTIONS", "UBSAN_OPTIONS", "PYTHONMALLOC") if name in os.environ}


def setrlimit(limit, values):
    if limit not in (resource.RLIMIT_AS, resource.RLIMIT_DATA):
        _setrlimit(limit, tuple(20 * value if value > 0 else value for value in values) if limit == resource.RLIMIT_CPU else values)


def init(self, *arguments, env=None, **keywords):
    _init(self, *arguments, env=None if env is None else KEPT | env, **keywords)


resource.setrlimit, subprocess.Popen.__init__ = setrlimit, init
signal.setitimer = lambda which, *seconds: _setitimer(which, *(20 * value if which == signal.ITIMER_PROF else value for value in seconds))
"""


def environment_of(folder):
    """The package's folder, where reports go, and what each Python process does when it starts."""
    for part in ("reports", "package"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / "package" / "sitecustomize.py").write_text(START)
    options = f"exitcode=99:allocator_may_return_null=1:log_path={folder / 'reports' / 'report'}"
    return os.environ | {"ASAN_OPTIONS": options, "PYTHONPATH": "", "T0NATIVE_SANITIZED": str(folder / "package")}


def deepen_stack():
    most = resource.getrlimit(resource.RLIMIT_STACK)[1]
    resource.setrlimit(resource.RLIMIT_STACK, (STACK if most == resource.RLIM_INFINITY else min(STACK, most), most))


def run_file(path, folder):
    """(exit code, seconds, output)"""
    left_out = [f"--deselect=tests/{test}" for test in LEFT_OUT if test.startswith(f"{path.name}::")]
    pytest = ["-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:faulthandler", "-rs", *left_out, f"tests/{path.name}"]
    begun = time.monotonic()
    done = subprocess.run(
        ["bash", "tests/sanitized", *pytest],
        cwd=ROOT,
        env=environment_of(folder),
        preexec_fn=deepen_stack,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    return done.returncode, time.monotonic() - begun, done.stdout


def run_suite(files, folder):
    """Exit code: 1 at a report, 2 where a test failed, 0."""
    passed, failed = folder / "passed.json", []
    seconds = json.loads(passed.read_text()) if passed.exists() else {}
    for path in files:
        if path.name in seconds:
            continue
        code, took, output = run_file(path, folder)
        print(f"{path.name}: {took:.0f} s, {output.strip().splitlines()[-1] if output.strip() else 'no output'}", flush=True)
        if reports := sorted((folder / "reports").iterdir()):
            print(output[-8000:])
            for report in reports:
                print(f"\n==== {report}\n{report.read_text(errors='replace')[:8000]}")
            return 1
        if code in (0, 5):  # 5: no test is left
            seconds[path.name] = took
            passed.write_text(json.dumps(seconds))
        else:
            print(output[-12000:], flush=True)
            failed.append(path.name)
    print(f"{len(seconds)} files, {sum(seconds.values()):.0f} s, no report; {len(failed)} files with failing tests: {failed}")
    return 2 if failed else 0


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "sanitized-suite")
    asked = parser.parse_args(arguments)
    return run_suite(asked.files or sorted((ROOT / "tests").glob("test_*.py")), asked.folder.absolute())


if __name__ == "__main__":
    sys.exit(main())
