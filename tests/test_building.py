"""setup.py: what it says where tools are missing, what it builds again, whose notices it adds, and the page of an index. Whole wheels: .ci/builds."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, needed

import t0native as t0

needed("setuptools", "pip install 'setuptools>=80', of the extra [test]", module_level=True)
compiled = pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler on this machine")


@pytest.fixture
def building(monkeypatch):
    """setup.py as a module."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("T0NATIVE_BLAS", "none")
    spec = importlib.util.spec_from_file_location("building", ROOT / "setup.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def refuses(word):
    return lambda source: (
        f"In file included from x:\n<stdin>:1:10: fatal error: {word}: No such file or directory\n" if word in source else ""
    )


@pytest.mark.parametrize(
    "command, complaint, said",
    [
        (["no-such-cc", "-O2"], refuses("never"), "no C compiler: `no-such-cc` is not on the PATH. "),
        (
            ["sh", "-O2"],
            refuses("stdlib.h"),
            "`sh -O2` compiles no C11 program (<stdin>:1:10: fatal error: stdlib.h: No such file or directory). ",
        ),
        (["sh"], lambda source: "killed\n", "`sh` compiles no C11 program (killed). "),
        (["sh"], refuses("Python.h"), "no Python.h (CPython {0}.{1}'s headers, looked for in "),
    ],
)
def test_what_is_missing_is_told_in_one_line(building, command, complaint, said):
    line = building.what_is_missing(command, complaint)
    assert line.startswith("t0native: " + said.format(*sys.version_info)) and "\n" not in line
    for remedy in ("apt-get install gcc", "python3-dev", "dnf install gcc python3-devel", "conda install -c conda-forge c-compiler"):
        assert remedy in line


def test_nothing_is_missing(building):
    assert building.what_is_missing(["sh"], lambda source: "") is None


@pytest.fixture
def tree(tmp_path):
    """A package of three C files, built by this setup.py."""
    for name, text in {
        "csrc/base/value.h": '#define VALUE "value 1"\nconst char *t0_value(void);\n',
        "csrc/base/value.c": '#include "base/value.h"\n#ifndef EXTRA\n#define EXTRA "plain"\n#endif\n'
        'const char *t0_value(void) { return VALUE ", extra " EXTRA; }\n',
        "csrc/py/module.c": '#include <Python.h>\n#include "base/value.h"\n'
        'static PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "_core"};\n'
        "PyMODINIT_FUNC PyInit__core(void) { module.m_doc = t0_value(); return PyModule_Create(&module); }\n",
        "t0native/__init__.py": "",
        "t0native/gone.py": "",
        "README.md": "# t0native",
        "pyproject.toml": '[project]\nname = "t0native"\nversion = "0"\ndynamic = ["readme", "urls"]\n[tool.setuptools]\npackages = ["t0native"]\n',
        "setup.py": (ROOT / "setup.py").read_text(),
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def run(tree, *words, **environment):
    command = [sys.executable, "setup.py", "-q", *words]
    return subprocess.run(command, cwd=tree, env=os.environ | {"T0NATIVE_BLAS": "none"} | environment, capture_output=True, text=True)


def built(tree, *words, **environment):
    """Runs setup.py; says which value the newest extension carries."""
    done = run(tree, *words, **environment)
    assert done.returncode == 0, done.stderr
    (core,) = tree.glob("t0native/_core.*so" if "--inplace" in words else "build/lib*/t0native/_core.*so")
    return re.search(rb"value [^\0]*", core.read_bytes())[0].decode()


def change(file, old, new):
    """Changes a file, which is older than every object then."""
    file.write_text(file.read_text().replace(old, new))
    os.utime(file, (0, 0))


@compiled
def test_objects_of_other_sources_are_not_used_in_place(tree):
    words = ("build_ext", "--inplace")
    assert built(tree, *words) == "value 1, extra plain"
    change(tree / "csrc/base/value.h", "value 1", "value 2")
    assert built(tree, *words) == "value 2, extra plain"
    (kept,) = tree.glob("build/temp*/csrc/base/value.o")
    before = kept.stat().st_mtime_ns
    change(tree / "csrc/py/module.c", "module.m_doc = t0_value()", 'module.m_doc = "value 3"')
    assert built(tree, *words) == "value 3" and kept.stat().st_mtime_ns == before  # the core's own are used


@compiled
def test_nothing_of_another_build_goes_into_a_wheel(tree):
    """Other settings, a source that is gone, a module that is gone."""
    (tree / "csrc/base/more.c").write_text("int t0_more(void) { return 1; }\n")
    assert built(tree, "build") == "value 1, extra plain" and list(tree.glob("build/lib*/t0native/gone.py"))
    (tree / "t0native/gone.py").unlink()
    (tree / "csrc/base/more.c").unlink()
    change(tree / "csrc/base/value.h", "value 1", "value 2")
    assert built(tree, "build", CFLAGS="-DEXTRA='\"other\"'") == "value 2, extra other"
    assert not list(tree.glob("build/lib*/t0native/gone.py")) and not list(tree.glob("build/temp*/csrc/base/more.o"))
    (library,) = tree.glob("build/temp*/libt0core.a")
    assert b"t0_value" in library.read_bytes() and b"t0_more" not in library.read_bytes()
    assert built(tree, "build") == "value 2, extra plain"


@pytest.mark.parametrize("words, lacks", [(("build_ext", "--inplace"), "a compiler"), (("bdist_wheel",), "headers")])
def test_a_build_without_tools_ends_with_one_line(tree, words, lacks):
    """The compiler of the second is a program that finds everything but Python.h."""
    cc = tree / "cc"
    if lacks == "headers":
        cc.write_text("#!/bin/sh\nif grep -q Python.h; then echo '<stdin>:1:10: fatal error: Python.h: none' >&2; exit 1; fi\n")
        cc.chmod(0o755)
    done = run(tree, *words, CC=str(cc))
    lines = done.stderr.strip().splitlines()
    assert done.returncode == 1 and len(lines) == 1, done.stderr
    assert lines[0].startswith("t0native: no C compiler: " if lacks == "a compiler" else "t0native: no Python.h (")


@pytest.mark.parametrize(
    "setting, said",
    [
        ({"T0NATIVE_BLAS": "mkl"}, "t0native: T0NATIVE_BLAS=mkl: must be bundled, system or none"),
        ({"T0NATIVE_BLAS": "system", "PATH": ""}, "t0native: T0NATIVE_BLAS=system: no OpenBLAS by `pkg-config --libs openblas` ("),
    ],
)
def test_a_blas_that_is_not_there_is_one_line(tree, setting, said):
    done = run(tree, "build", **setting)
    assert done.returncode == 1 and done.stderr.startswith(said) and done.stderr.count("\n") == 1


def test_a_build_package_that_is_not_there_is_one_line(building):
    with pytest.raises(SystemExit, match=r"t0native: building needs no_such_package \(No module .*\): pip install .*\[build-system\]$"):
        building.build_package("no_such_package")


class Package:
    """Stands for the installed scipy-openblas32."""

    version = "0.3"

    def __init__(self, folder, texts):
        self.files = []
        for name, text in texts.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            self.files.append(LocatedPath(path))


class LocatedPath(type(Path())):
    def locate(self):
        return Path(self)


@pytest.mark.parametrize(
    "texts, said",
    [
        (
            {"x.dist-info/licenses/LICENSE.txt": "© of OpenBLAS", "x/license.h": "code"},
            "libopenblas.so in this wheel is that of scipy-openblas32 0.3, whose notices follow.\n\n© of OpenBLAS",
        ),
        (
            {"x/license.h": "code"},
            "libopenblas.so in this wheel is that of scipy-openblas32 0.3, which carries no notices here. It has OpenBLAS (BSD-3-Clause, ",
        ),
    ],
)
def test_notices_are_those_of_the_package_that_is_bundled(building, monkeypatch, tmp_path, texts, said):
    monkeypatch.setattr(building, "BLAS_LIBRARY", Path("/elsewhere/libopenblas.so"))
    monkeypatch.setattr(building, "distribution", lambda name: Package(tmp_path, texts))
    notices = building.blas_notices()
    assert notices.startswith(said) and "code" not in notices


def test_a_licence_is_named_in_the_metadata(building, tmp_path):
    (tmp_path / "licenses").mkdir()
    head = "Metadata-Version: 2.4\nName: t0native\nLicense-File: LICENSE\n"
    (tmp_path / "METADATA").write_text(head + "Requires-Dist: numpy\n\nText\n")
    building.add_licence(tmp_path, "LICENSE-X", "words")
    assert (tmp_path / "METADATA").read_text() == head + "License-File: LICENSE-X\nRequires-Dist: numpy\n\nText\n"
    assert (tmp_path / "licenses/LICENSE-X").read_text() == "words"
    (tmp_path / "METADATA").write_text("Metadata-Version: 9\n")
    with pytest.raises(SystemExit, match="METADATA has no line License-File: LICENSE: setuptools "):
        building.add_licence(tmp_path, "LICENSE-X", "words")


README = (ROOT / "README.md").read_text(encoding="utf-8")
LINK = re.compile(r"(!?)\[[^\]]*\]\(([^)]*)\)")


@pytest.mark.parametrize(
    "host, tree, raw",
    [("github.com/a/t0native", "blob", "raw"), ("gitlab.com/a/t0native/-", "blob", "raw"), ("codeberg.org/a/t0native", "src", "raw")],
)
def test_every_link_of_the_description_is_absolute(building, host, tree, raw):
    page, picture = f"https://{host}/{tree}/v1/", f"https://{host}/{raw}/v1/"
    before, after = LINK.findall(README), LINK.findall(building.description(README, page.rstrip("/")))
    assert len(before) == len(after) > 20 and sum(kind == "!" for kind, _ in before) >= 3
    for (kind, old), (_, new) in zip(before, after, strict=True):
        assert new == old if ":" in old or old.startswith("#") else new == (picture if kind else page) + old
        assert (ROOT / new.removeprefix(picture).removeprefix(page)).exists() or ":" in old or old.startswith("#")


def test_without_an_address_the_description_is_readme(building):
    assert building.description(README, "") == README
    assert set(building.urls("")) == {"Paper"} and building.urls("https://x/blob/v1")["Changelog"] == "https://x/blob/v1/CHANGELOG.md"


def test_links_that_stay(building):
    for text in ("[a](#there)", "[a](https://x/y)", "`a[0](b)`x", "[a](/root)"):
        assert building.description(text, "https://h/blob/v1") == text or text.startswith("`")
    assert (
        building.description("![p](d/p.png) [q](q.md)", "https://h/blob/v1") == "![p](https://h/raw/v1/d/p.png) [q](https://h/blob/v1/q.md)"
    )


def test_citation_is_of_this_version():
    told = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert told["version"] == t0.__version__ and told["license"] == "Apache-2.0" and told["title"].startswith("t0native")
    assert told["references"][0]["url"].endswith("2110.08207")
