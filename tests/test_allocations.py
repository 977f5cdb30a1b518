"""Allocations that fail: a slice of fuzz_allocations.py, which is run by hand."""

import shutil
import subprocess

import fuzz_allocations
import pytest

from t0native import _core


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    if shutil.which("cc") is None:
        pytest.skip("no compiler")
    try:
        return fuzz_allocations.build(tmp_path_factory.mktemp("library"))
    except subprocess.CalledProcessError:
        pytest.skip("no shared libraries are made here")


@pytest.mark.parametrize("name", ["Model.init", "Trainer", "encode_batch"])
def test_allocations_of_the_core(library, name):
    calls, failed, _, wrong = fuzz_allocations.run(library, name, "core", "one", 30)
    assert wrong == [] and calls == 30 and failed > 0


@pytest.mark.skipif(fuzz_allocations._testcapi is None, reason="no _testcapi")
@pytest.mark.parametrize("name", ["render", "check_config"])
def test_allocations_of_python(name):
    calls, failed, _, wrong = fuzz_allocations.run(None, name, "python", "one", 60)
    assert wrong == [] and calls == 60 and failed > 0


@pytest.mark.parametrize("source", ["{{ o.x }}", "{{ o['x'] }}", "{{ o is sequence }}", "{{ o is iterable }}"])
def test_asking_an_object_without_memory_is_no_answer(source):
    """What an attempt on an object raises means no; a MemoryError means nothing."""

    class Object:
        def __iter__(self):
            raise MemoryError if Object.full else TypeError

        def __len__(self):
            raise MemoryError if Object.full else TypeError

        def __getitem__(self, key):
            raise MemoryError if Object.full else KeyError(key)

    row, template = {"o": Object()}, _core.Template(source)
    Object.full = False
    template.render(row)
    Object.full = True
    with pytest.raises(MemoryError):
        template.render(row)
