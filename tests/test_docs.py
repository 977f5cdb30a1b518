"""The pages of docs/ as a reader pastes them: files that are shown are written, commands typed, Python run, each page in a folder of its own.

Models on the hub are small random ones here, in folders of their names; rows are made. What cannot be run is listed below with the reason,
and says so on its page."""

import contextlib
import importlib
import io
import json
import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml
from conftest import lacking
from doc_blocks import FENCE, PAGES, ROOT, blocks_of, commands, make_world, write

import t0native as t0
from t0native.cli.main import main, make_parser

KINDS = {"csv", "json", "python", "sh", "text", "yaml"}
NOT_RUN = {  # commands, as a pattern: why they are parsed at most
    "t0native studio --data .*": "serves until it is stopped; tests/test_studio_started.py",
    "t0native lm-eval .*": "fetches tasks; tests/test_lm_eval.py",
    "hf upload .*": "needs the network and an account",
    "mpiexec -n 2 t0native train recipe.yaml": "starts processes, which wait busily for each other; tests/test_ranks.py",
    "t0native plan --model base .*": "measures for half a minute; tests/test_cluster.py",
    "t0native evaluate .* --dask .*": "starts processes, or needs a cluster; tests/test_executors.py",
    "t0native train configs/mini.yaml": "takes minutes; tests/test_mini_demo.py",
}
INSTALLS = re.compile(r"pip install( --no-deps --ignore-requires-python)?( --target \w+)?( ('?\.(\[\w+\])?'?|[\w-]+(==[\d.]+)?))+")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    make_world(folder)
    return folder


def page_name(page):
    return str(page.relative_to(ROOT / "docs"))


@pytest.mark.parametrize("page", [page for page in PAGES if blocks_of(page)], ids=page_name)
def test_every_block_of_the_page_runs(page, world, tmp_path, monkeypatch, promptsource_places):
    folder = tmp_path / "reader"
    shutil.copytree(world, folder)
    (folder / "configs").symlink_to(ROOT / "configs")
    monkeypatch.chdir(folder)
    names, without = {"__name__": "page"}, []
    for block in blocks_of(page):
        where = f"{block.page}, line {block.line}"
        if "P3" in block.text:
            promptsource_places(folder, block.text)
        if block.title:
            write(folder / block.title, block.text)
        if block.kind == "python":
            if package := missing(block.text, monkeypatch):
                without.append(f"{where}: {package}")
                continue
            exec(compile(block.text, where, "exec"), names)
        elif block.kind == "sh":
            for words, source, target in commands(block.text):
                if package := missing(" ".join(words), monkeypatch):
                    without.append(f"{where}: {package}")
                    continue
                type_command(words, source, target, where, monkeypatch)
        elif block.kind == "yaml" and "!Template" not in block.text:
            yaml.safe_load(block.text)
        elif block.kind == "json":
            json.loads(block.text)
    if without:
        lacking("not installed, for " + "; ".join(without))


def missing(text, monkeypatch):
    """The package that the text needs and that is not installed, or None; what would fetch from the hub gives made rows."""
    for pattern, package in (
        (r"--plot|--by-prompt|--bars|\.png|figures\.|--html", "matplotlib"),
        (r"import pandas|to_pandas", "pandas"),
        (r"\bt0native studio\b", "flask"),
        (r"load_dataset|import datasets", "datasets"),
        (r"from transformers import", "torch"),
        (r"from transformers import", "transformers"),
    ):
        if re.search(pattern, text):
            try:
                module = importlib.import_module(package)
            except ImportError:
                return package
            if package == "datasets":
                made = module.Dataset.from_list([{"premise": "Tea is hot.", "hypothesis": "Tea is warm.", "label": 0, "idx": 0}])
                monkeypatch.setattr(module, "load_dataset", lambda *_, **__: made)
    return None


def type_command(words, source, target, where, monkeypatch):
    line = " ".join(words)
    if words[0] == "pip":
        assert INSTALLS.fullmatch(line), f"{where}: {line}"
        return
    if any(re.fullmatch(pattern, line) for pattern in NOT_RUN):
        if words[0] == "t0native":
            make_parser().parse_args(words[1:])
        return
    assert words[0] == "t0native", f"{where}: {line}"
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdin", io.StringIO(Path(source).read_text() if source else "typed by a reader\n"))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words[1:])
    assert code == 0, f"{where}: {line}: {err.getvalue()}"
    if target:
        write(Path(target), out.getvalue())


@pytest.fixture
def promptsource_places(request):
    """call(folder, text): P3/ in the folder as a page installs it, promptsource 0.1.0 where T0's mixtures are meant."""

    def place(folder, text):
        if not (folder / "P3").exists():
            pinned = "promptsource==0.1.0" in text or "Mixture.t0" in text
            if pinned:
                (folder / "P3").symlink_to(request.getfixturevalue("promptsource_0_1_0"))
            else:
                (folder / "P3").mkdir()
                (folder / "P3/promptsource").symlink_to(request.getfixturevalue("promptsource_folder").parent)

    return place


def test_what_is_not_run_is_on_a_page_and_says_so_there():
    lines = [line for page in PAGES for block in blocks_of(page) if block.kind == "sh" for line in block.text.splitlines()]
    for pattern in NOT_RUN:
        shown = [line for line in lines if re.fullmatch(pattern, line.partition("  #")[0].rstrip())]
        assert shown, f"no page has it any more: {pattern}"
        assert all("  # " in line for line in shown), f"a comment beside it says why a reader may not want to wait: {pattern}"


def test_no_page_has_commands_in_other_blocks():
    """What stands indented, or under another language, is no command and no Python: nobody would run it here."""
    for page in PAGES:
        text = "\n".join(line for line in FENCE.sub("", page.read_text(encoding="utf-8")).splitlines())
        found = re.findall(r"^ {4,}(?:t0native |pip |python |>>> |import ).*", text, flags=re.M)
        assert not found, f"{page_name(page)}: {found}"
        assert all(block.kind in KINDS for block in blocks_of(page)), page_name(page)


# ---- the site as a whole; `mkdocs build --strict`, in .ci/run, looks at its links and its navigation -----------------


def test_every_public_name_has_an_entry_in_the_api_pages():
    pages = {page.name: page.read_text(encoding="utf-8") for page in (ROOT / "docs/api").glob("*.md")}
    listed = [(name, page) for page, text in pages.items() for name in re.findall(r"^::: t0native\.(\w+)$", text, flags=re.M)]
    assert sorted(name for name, _ in listed) == sorted({*t0.__all__, *t0._MODULES})
    index = re.findall(r"\[`(\w+)`\]\((\w+\.md)#t0native\.(\w+)\)", pages["index.md"])
    assert sorted((name, page) for name, page, anchor in index if name == anchor) == sorted(listed)


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES], ids=lambda page: page.stem)
def test_links_lead_to_files_and_headings(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.S)):
        if re.match(r"https?://|mailto:", target):
            continue
        place, _, heading = target.partition("#")
        file = (page.parent / place) if place else page
        assert file.exists(), target
        if heading and file.suffix == ".md" and not heading.startswith("t0native."):
            assert heading in headings(file), target


def headings(page):
    """Anchors of a page's headings, as GitHub and the site make them."""
    lines = re.findall(r"^#+ (.*)", page.read_text(encoding="utf-8"), flags=re.M)
    return {re.sub(r"[^\w -]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", line)).strip().lower().replace(" ", "-") for line in lines}


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_lists_and_indented_blocks_begin_behind_a_blank_line(page):
    """Else the site's Markdown takes them for text of the paragraph above, where GitHub's does not."""
    lines = FENCE.sub("", page.read_text(encoding="utf-8")).splitlines()
    for above, line in zip(lines, lines[1:], strict=False):
        goes_on = not above.strip() or above.startswith((" ", "- ")) or re.match(r"\d+\. ", above)
        assert goes_on or not re.match(r"- |\d+\. |    ", line), line


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_a_page_is_one_thing(page):
    lines = page.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 150 and lines[0].startswith("# ")
    assert page_name(page) in (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), "mkdocs.yml's navigation lacks it"
