"""Fixtures of the whole suite. Public data is looked for under $T0NATIVE_TEST_DATA, else ../shared beside the checkout."""

import os
import signal
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HOW_TO_GET = (
    "public test data is not here: put the folders data/ (SuperGLUE validation rows, T5's spiece.model, ...) and promptsource/ "
    "into a folder and name it in T0NATIVE_TEST_DATA; docs/test-data.md lists every file and its source"
)


def pytest_configure(config):
    # A shell's background job begins with SIGINT ignored, one of nohup with SIGHUP, and so would their children; the tests send both.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)  # children have the default again; this process lives on as before
    config.addinivalue_line("markers", "parity: compares with torch and transformers (pip install '.[parity]')")
    config.addinivalue_line("markers", "slow: takes seconds")


def lacking(reason, module_level=False):
    """Skips by name; fails where the run promised to have everything (T0NATIVE_TEST_COMPLETE=1, as in .ci/run)."""
    if os.environ.get("T0NATIVE_TEST_COMPLETE"):
        pytest.fail(f"T0NATIVE_TEST_COMPLETE is set, but {reason}")
    pytest.skip(reason, allow_module_level=module_level)


def needed(name, how, module_level=False):
    """The package of that name, imported; `lacking` where it is not installed. how: to install it."""
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        lacking(f"{name} is not installed: {how}", module_level)


def pytest_collection_modifyitems(items):
    if os.environ.get("T0NATIVE_TEST_COMPLETE"):
        return  # a missing package then fails its tests
    missing = [name for name in ("torch", "transformers") if not _importable(name)]
    if missing:
        skip = pytest.mark.skip(reason=f"parity: {' and '.join(missing)} not installed (pip install '.[parity]')")
        for item in items:
            if "parity" in item.keywords:
                item.add_marker(skip)


def _importable(name):
    import importlib.util

    return importlib.util.find_spec(name) is not None


@pytest.fixture(scope="session")
def public_data() -> Path:
    """Folder that holds data/ and promptsource/; tests that need it are skipped by name where it is absent."""
    folder = Path(os.environ.get("T0NATIVE_TEST_DATA", ROOT.parent / "shared"))
    if not (folder / "data").is_dir():
        lacking(HOW_TO_GET)
    return folder


@pytest.fixture(scope="session")
def promptsource_0_1_0(public_data):
    """Folder of promptsource 0.1.0, the prompts that T0 pinned: $T0NATIVE_PROMPTSOURCE_0_1_0, else promptsource-0.1.0 beside the public data."""
    folder = Path(os.environ.get("T0NATIVE_PROMPTSOURCE_0_1_0", public_data / "promptsource-0.1.0"))
    if not folder.is_dir():
        lacking(
            "promptsource 0.1.0 is not here: pip install --no-deps --ignore-requires-python --target FOLDER promptsource==0.1.0, "
            "and name FOLDER in T0NATIVE_PROMPTSOURCE_0_1_0"
        )
    return folder


@pytest.fixture(scope="session")
def promptsource_folder():
    """templates/ of the installed promptsource package, found without importing it."""
    import importlib.util

    spec = importlib.util.find_spec("promptsource")
    folder = Path(spec.submodule_search_locations[0], "templates") if spec and spec.submodule_search_locations else None
    if folder is None or not folder.is_dir():
        lacking("promptsource's files are not installed: pip install --no-deps --ignore-requires-python promptsource==0.2.3")
    return folder
