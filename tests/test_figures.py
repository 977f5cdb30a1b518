"""The paper's pictures, the HTML page and what notebooks show: what is drawn, what is escaped, what is refused."""

import csv
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import needed

import t0native as t0
from t0native.reports.report import Report


def report_of(values, model="m", task="rte", dataset="super_glue", subset="rte", n=20):
    """values: of each prompt, hits among n rows."""
    about = {
        "task": task,
        "dataset": dataset,
        "subset": subset,
        "split": "validation",
        "metric": "accuracy",
        "dropped": 0,
        "status": "ok",
        "reason": None,
    }
    cells = [about | {"model": model, "prompt": f"p{i}", "prompt_id": None} for i in range(len(values))]
    correct = [np.r_[np.ones(hits), np.zeros(n - hits)] for hits in values]
    return Report.of_cells(cells, correct, [0.5] * len(values), seed=0, about={"models": [model]})


def axes():
    needed("matplotlib", "pip install '.[plot]'")
    from matplotlib.figure import Figure

    return Figure().subplots()


def test_figure4_has_a_box_a_model_and_published_marks_on_request():
    reports = [report_of([8, 10, 12], "a"), report_of([15, 16, 20], "b")]
    ax = t0.figures.figure4(reports, ax=axes())
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b"]
    ax = t0.figures.figure4(reports, ax=axes(), published=True)
    marks = {line.get_label(): line.get_ydata() for line in ax.lines if line.get_label().endswith("published")}
    assert marks["T0 11B, published"] == pytest.approx([81.2])
    assert "T0 11B, published on rte: 81.2" in t0.figures.figure4(reports, published=True, text=True)


def test_figure5_draws_the_median_and_its_interval():
    report = report_of([8, 10, 12])
    ax = t0.figures.figure5(report, ax=axes())
    assert [bar.get_width() for bar in ax.patches] == pytest.approx([50.0])
    (entry,) = report.summary
    ends = ax.collections[0].get_segments()[0][:, 0]
    assert ends == pytest.approx([100 * entry["low"], 100 * entry["high"]])
    assert t0.figures.figure5(report, text=True).splitlines()[1] == "  m |=========================:                        |  50.0"


def test_figures_6_and_7_order_their_numbers_and_pool_seeds():
    several = {8.03: [report_of([18, 19]), report_of([14, 15])], 0: report_of([10, 9])}
    ax = t0.figures.figure6(several, ax=axes())
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["0 prompts", "8.03 prompts"]
    (line,) = [line for line in ax.lines if line.get_alpha() == 0.5]
    assert list(line.get_ydata()) == pytest.approx([47.5, 82.5]) and list(line.get_xdata()) == pytest.approx([-0.2, 0.2])
    boxes = t0.figures.figure6(several, text=True).splitlines()
    assert boxes[1].split()[:2] == ["0", "prompts"] and boxes[2].split()[-1] == "82.5"
    assert t0.figures.figure7({np.int64(1): report_of([10]), 55: report_of([12])}, text=True).splitlines()[1].startswith("  1 dataset ")
    with pytest.raises(t0.ConfigError, match="nothing to draw: no numbers of datasets"):
        t0.figures.figure7({})
    for wrong in ([report_of([10])], {"all": report_of([10])}):
        with pytest.raises(t0.ConfigError, match="must be a mapping of numbers of prompts to reports, as in"):
            t0.figures.figure6(wrong)


def test_published_figures_by_name_and_of_ones_own():
    report = report_of([8, 10, 12])
    with_name = t0.figures.figure4(report, published=["GPT-3 175B few-shot", "T0 11B"], text=True).splitlines()
    assert with_name[-2:] == [
        "  GPT-3 175B few-shot, published on rte: 72.9",
        "  T0 11B, published on rte: 81.2",
    ]  # the median before means
    for place in ("rte", "super_glue/rte"):
        own = {place: {"ours": 0.25, "theirs": 0.5}, "other": {"theirs": 0.75}}
        ax = t0.figures.figure4(report, ax=axes(), published=own)
        marks = {line.get_label(): list(line.get_ydata()) for line in ax.lines if line.get_label() in ("ours", "theirs")}
        assert marks == {"ours": [25.0], "theirs": [50.0]}
    with pytest.raises(t0.ConfigError, match="no published figure of model 'T0 12B'; did you mean 'T0 11B'?"):
        t0.figures.figure4(report, ax=axes(), published="T0 12B")


def test_names_are_shown_as_they_are():
    """Formulas between dollars are not read, a label that begins with _ stands in the legend, a line break does not part it."""
    report = report_of([8, 10], model=r"_$\frac$", task="a\nb $x_1$", n=20)
    for draw in (t0.figures.figure4, t0.figures.figure5):
        ax = draw(report, ax=axes())
        ax.figure.canvas.draw()
        assert [text.get_text() for text in ax.get_legend().get_texts()] == ["\u200b_" + r"\$\frac\$"]
        assert r"a b \$x_1\$" in [label.get_text() for label in (*ax.get_xticklabels(), *ax.get_yticklabels())]
    assert "<img" in report.to_html()


def test_an_axis_reaches_below_zero_only_where_a_value_does():
    report = report_of([8, 10])
    assert t0.figures.figure4(report, ax=axes()).get_ylim() == (0, 100)
    report.summary[0]["min"] = -0.25
    assert t0.figures.figure4(report, ax=axes()).get_ylim() == (-100, 100) == t0.figures.figure5(report, ax=axes()).get_xlim()


def test_a_number_has_reports_of_one_model():
    both = t0.Report.merge([report_of([10], "a"), report_of([12], "b")])
    with pytest.raises(t0.ConfigError, match=r"^1 prompt: a report of 2 models \(a, b\); must be of one$"):
        t0.figures.figure6({1: both}, text=True)


def test_a_heat_map_shows_every_row_of_every_prompt_the_best_and_the_easiest_first():
    report = report_of([1, 2], n=3)
    report.correct[:] = [np.array([0.0, 1, 0]), np.array([np.nan, 1, 1])]
    assert t0.figures.heatmap(report, text=True) == "p1 |## |\np0 |#..|"  # the examples: both right, one of two, none
    ax = t0.figures.heatmap(report, ax=axes())
    assert ax.images[0].get_array().tolist() == [[1, 1, None], [1, 0, 0]]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["p1", "p0"]
    with pytest.raises(t0.ConfigError, match=r"heatmap: task 'rta': must be one of the report's; did you mean 'rte'"):
        t0.figures.heatmap(report, "rta")
    with pytest.raises(t0.ConfigError, match=r"heatmap: model None: must be one of the report's; there are: a, b"):
        t0.figures.heatmap([report_of([1], "a"), report_of([1], "b")], "rte")


def test_a_heat_map_in_text_is_no_wider_than_asked():
    line = t0.figures.heatmap(report_of([500], n=1000), text=True, width=45)
    assert line == "p0 |" + "#" * 20 + "." * 20 + "|"
    assert len(t0.figures.heatmap(report_of([500], n=1000), text=True)) == 72


def test_a_picture_is_written_whole_or_not_at_all(tmp_path):
    needed("matplotlib", "pip install '.[plot]'")
    for name, draw in (("f4", t0.figures.figure4), ("f5", t0.figures.figure5), ("h", t0.figures.heatmap)):
        draw(report_of([8, 10]), path=tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(t0.ConfigError, match="unknown kind of picture '.doc'"):
        t0.figures.figure5(report_of([8]), path=tmp_path / "f.doc")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f4.png", "f5.png", "h.png"]


EVIL = "<script>alert(1)</script> & 'x' \"y\""


def evil_report():
    report = report_of([8, 10], model=EVIL)
    failed = report.cells[0] | {"status": "failed", "reason": EVIL, "value": None, "low": None, "high": None, "prompt": EVIL}
    return Report([*report.cells, failed], report.summary, report.about | {"note": EVIL}, [*report.correct, None])


def test_the_page_escapes_every_text_asks_for_nothing_and_is_the_same_again():
    page = evil_report().to_html(published=True)
    assert "<script" not in page and page.count("&lt;script&gt;") >= 4 and "1 of them failed" in page
    assert not re.search(r"(?:src|href)=(?!\"data:)", page) and "Published figures" in page
    assert page == evil_report().to_html(published=True)
    assert page.count('<tr class="failed">') == 1 and page.count("<details>") == 2


def test_the_page_without_matplotlib_draws_in_text(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    page = report_of([8, 10]).to_html()
    assert "<img" not in page and "[ " not in page.split("<pre>")[0] and "|min [q1 M median q3] max|" in page


@pytest.mark.slow
def test_the_page_in_a_browser(tmp_path):
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install '.[browser]'", exc_type=ImportError
    )
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    needed("matplotlib", "pip install '.[plot]'")
    evil_report().to_html(tmp_path / "page.html")
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page, asked, dialogs = browser.new_page(), [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        page.goto((tmp_path / "page.html").as_uri())
        page.click("summary")
        widths = page.evaluate("[...document.images].map(image => image.naturalWidth)")
        assert len(widths) == 3 and all(widths) and not dialogs
        assert all(url.startswith(("file:", "data:")) for url in asked)
        assert EVIL in page.inner_text("tr.failed")
        page.set_viewport_size({"width": 390, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 390  # tables move aside by themselves
        plain = browser.new_context(java_script_enabled=False).new_page()
        plain.goto((tmp_path / "page.html").as_uri())
        plain.click("summary")
        assert plain.is_visible("details img") and plain.is_visible("tr.failed")
        browser.close()


def test_the_verb_report_writes_them(tmp_path, capsys):
    from t0native.cli.main import main

    report_of([8, 10], "a_b").save(tmp_path / "report.json")
    options = ["--html", str(tmp_path / "r.html"), "--latex", str(tmp_path / "r.tex"), "--csv", str(tmp_path / "r.csv"), "--published"]
    assert main(["report", str(tmp_path), *options]) == 0
    assert "T0 11B" in capsys.readouterr().out
    assert "Published figures" in Path(tmp_path / "r.html").read_text()
    rows = list(csv.DictReader((tmp_path / "r.csv").read_text().splitlines()))
    assert [(row["prompt"], row["value"], row["reason"]) for row in rows] == [("p0", "0.4", ""), ("p1", "0.5", "")]
    tex = Path(tmp_path / "r.tex").read_text()
    assert r"rte & a\_b & 2 & 50.0 & 45.0 &" in tex and r"95 \% interval" in tex and tex.count(r"\\") == 2


def test_the_verb_report_draws_boxes_with_marks_and_bars(tmp_path, capsys):
    from t0native.cli.main import main

    needed("matplotlib", "pip install '.[plot]'")
    report_of([8, 10]).save(tmp_path / "report.json")
    assert main(["report", str(tmp_path), "--plot", str(tmp_path / "a.svg"), "--bars", str(tmp_path / "b.png"), "--published"]) == 0
    marks = (tmp_path / "a.svg").read_text()
    assert main(["report", str(tmp_path), "--plot", str(tmp_path / "a.svg")]) == 0
    assert "T0 11B, published" in marks and "published" not in (tmp_path / "a.svg").read_text()
    assert (tmp_path / "b.png").read_bytes().startswith(b"\x89PNG")


def test_latex_escapes_what_it_reads_as_commands():
    report = report_of([8], model="50% & \\x {y} ~^#$_")
    assert r"50\% \& \textbackslash{}x \{y\} \textasciitilde{}\textasciicircum{}\#\$\_ & 1" in report.to_latex()


def test_latex_begins_no_row_with_what_the_row_before_would_read():
    lines = report_of([8], task="[2pt]").to_latex().splitlines() + report_of([8], task="*").to_latex().splitlines()
    assert [line[:7] for line in lines if line.startswith(("[", "*", "{"))] == ["{[}2pt]", "{*} & m"]
    assert r"\textless{}b\textgreater{}\textbar{}" in report_of([8], model="<b>|").to_latex()


def test_markdown_keeps_its_cells_and_begins_no_html():
    row = report_of([8], model="a\\|<b>\n").to_markdown().splitlines()[2]
    assert row.startswith(r"| rte | a\\\|\<b>  | 1 | 50.0 |")


def test_tables_show_every_metric_and_what_was_dropped():
    report = report_of([8, 10])
    report.cells[0] |= {"metrics": {"accuracy": 0.4, "f1_macro": 0.25}, "normalized": 0.125, "dropped": 3}
    told = "f1_macro 25.0, normalized 12.5"
    for table in (report.to_markdown(), report.to_html()):
        assert table.count(told) == 1 and "others" in table and "rows dropped by prompts: 3 in 1 cell" in table
    assert "rows dropped by prompts: 3 in 1 cell" in report._repr_html_()
    assert "others" not in report_of([8]).to_markdown()


def test_tables_say_what_an_interval_of_no_width_leaves_open():
    """Where all rows are right, or all wrong, every resampling is; 3 / n of other rows may still be otherwise."""
    report = report_of([0, 8, 20])
    told = "intervals of no width: 2 cells, all of whose rows are right, or all wrong; of rows like them up to 15 % may be otherwise (3 / n, 95 %)"
    assert all(told in table for table in (str(report), report.to_markdown(), report.to_html(), report._repr_html_()))
    assert "of no width" not in str(report_of([8, 9]))
    assert "of no width: 1 cell, all" in str(report_of([1], n=1)) and "up to 100 % may" in str(report_of([1], n=1))
    assert "up to 7.5 % may" in str(report_of([40], n=40))


def test_texts_that_cannot_be_printed_stop_neither_page_nor_picture(tmp_path):
    needed("matplotlib", "pip install '.[plot]'")
    import base64
    import xml.dom.minidom

    report = report_of([8, 10], model="\ud800x a\x00b c\x1bd ]]> --> \u202ee", task="")
    page = report.to_html(tmp_path / "page.html")
    pictures = re.findall(r'src="data:image/svg\+xml;base64,([^"]*)"', page)
    assert len(pictures) == 3
    for picture in pictures:
        xml.dom.minidom.parseString(base64.b64decode(picture))  # an error where a browser would show none
    assert t0.figures.figure4(report_of([8], model=""), ax=axes()).get_legend().get_texts()[0].get_text() == "\u200b"


def test_a_table_of_pandas():
    needed("pandas", "pip install '.[parity]'")
    table = report_of([8, 10]).to_pandas()
    assert list(table["value"]) == [0.4, 0.5] and list(table["prompt"]) == ["p0", "p1"]


def test_what_notebooks_show_of_examples_prompts_and_tasks():
    prompt = t0.Prompt("<p>", "{{ a }} is <b>? ||| {{ c }}", "<yes> ||| no")
    shown = prompt.preview({"a": "x < y", "c": "no"})
    assert shown.parts == [[["x < y", True], [" is <b>?", False]], [["no", True]]] and shown.choices == ["<yes>", "no"]
    html = shown._repr_html_()
    assert "x &lt; y</span> is &lt;b&gt;?" in html and "&lt;yes&gt; | no" in html and "<yes>" not in html
    assert str(shown) == "input: x < y is <b>?\ntarget: no\nchoices: <yes> | no"
    assert "dropped: the template gives 1 part" in str(t0.Prompt("q", "{{ a }}").preview({"a": "x"}))
    assert prompt.render({"a": "<i>", "c": "no"})._repr_html_().count("&lt;i&gt;") == 1
    html = prompt._repr_html_()
    assert "&lt;p&gt;" in html and "{{ a }} is &lt;b&gt;? ||| {{ c }}" in html and "&lt;yes&gt; ||| no" in html and "reference" not in html
    task = t0.Task("<t>", [{"a": "x", "c": "no"}, {"a": "y", "c": "no"}], prompt)
    html = task._repr_html_()
    assert "&lt;t&gt;" in html and html.count("<table>") == 3 and "<t>" not in html
    assert 'style="color:#b3261e">x</span> is &lt;b&gt;?' in html  # the fields stand in colour


def drawn_intervals(ax):
    """[(place, low, value, high)] of what by_prompt draws, model by model."""
    found = []
    for container in ax.containers:
        points, _, (bars,) = container
        for (value, place), segment in zip(points.get_xydata(), bars.get_segments()):
            found.append((place, segment[0][0], value, segment[1][0]))
    return found


def test_by_prompt_draws_each_value_with_its_interval_the_best_first():
    report = report_of([8, 20, 12])
    ax = t0.figures.by_prompt(report, ax=axes())
    assert [label.get_text() for label in ax.get_yticklabels()] == ["rte", "p1", "p2", "p0"]
    by_name = {cell["prompt"]: cell for cell in report.cells}
    wanted = [(i + 1, *(100 * by_name[name][key] for key in ("low", "value", "high"))) for i, name in enumerate(("p1", "p2", "p0"))]
    assert sorted(drawn_intervals(ax)) == [pytest.approx(one) for one in wanted]
    levels = {line.get_linestyle(): line.get_xdata()[0] for line in ax.lines if len(line.get_xdata()) == 2}
    assert levels == {"-": pytest.approx(100 * report.summary[0]["median"]), "--": 50.0}
    assert ax.get_xlim() == (0, 100) and ax.yaxis_inverted()
    assert not any(line.get_clip_on() for line in ax.containers[0][0:1])  # a point at 100 is whole


def test_by_prompt_sets_models_and_tasks_apart():
    reports = [report_of([8, 10], "a"), report_of([15, 4], "b"), report_of([3], "b", task="wic")]
    ax = t0.figures.by_prompt(reports, ax=axes())
    assert [label.get_text() for label in ax.get_yticklabels()] == ["rte", "p0", "p1", "wic", "p0"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b"]
    assert [round(place, 2) for place, *_ in drawn_intervals(ax)] == [0.85, 1.85, 1.15, 2.15, 4.15]
    of_one = t0.figures.by_prompt(reports, "rte", "b", ax=axes())
    assert [value for _, _, value, _ in drawn_intervals(of_one)] == pytest.approx([75.0, 20.0])
    with pytest.raises(t0.ConfigError, match="no task 'rta' in the report; did you mean 'rte'?"):
        t0.figures.by_prompt(reports, "rta")
    failed = report_of([8])
    failed.cells[0] |= {"status": "failed", "value": None, "low": None, "high": None}
    with pytest.raises(t0.ConfigError, match="nothing to draw: no cell has a value"):
        t0.figures.by_prompt(failed, text=True)


def test_by_prompt_in_text():
    lines = t0.figures.by_prompt(report_of([8, 20]), text=True, width=60).splitlines()
    assert lines[0] == "rte" and lines[1].split() == ["p1", ":", "o", "100.0"]
    assert re.fullmatch(r"  p0 +\|-+o-+:-+\|  +40\.0", lines[2]) and max(map(len, lines)) <= 60
    both = t0.figures.by_prompt([report_of([8], "a"), report_of([10], "b")], text=True).splitlines()
    assert [line.split()[0] for line in both[1:4]] == ["p0", "a", "b"]


def test_points_of_like_values_stand_beside_one_another():
    ax = t0.figures.figure4(report_of([20, 20, 20, 10]), ax=axes())
    (points,) = [line for line in ax.lines if len(line.get_xdata()) == 4 and line.get_linestyle() == "None"]
    assert len(set(points.get_xdata())) == 3 and points.get_xdata()[1] == points.get_xdata()[3] == 0 and not points.get_clip_on()
    assert points.get_ydata().tolist() == [100, 100, 100, 50]


def test_pictures_say_in_words_what_they_show(tmp_path):
    needed("matplotlib", "pip install '.[plot]'")
    report = report_of([8, 10, 12], model='a "<b>" \x00 é\u03bb')
    draw = {"b": t0.figures.by_prompt, "f4": t0.figures.figure4, "f5": t0.figures.figure5, "h": t0.figures.heatmap}
    words = {
        "b": "rte, p2, a",
        "f4": "50.0 (median of 3 prompts, 40.0 to 60.0; chance 50.0)",
        "f5": "Bars, values",
        "h": "p2 60.0; p1 50.0",
    }
    for name, figure in draw.items():
        for kind in ("png", "svg", "pdf"):
            figure(report, path=tmp_path / f"{name}.{kind}")
        from PIL import Image

        with Image.open(tmp_path / f"{name}.png") as picture:
            told = picture.info["Description"]
        assert words[name] in told and "\x00" not in told and "\u03bb" in told
        (described,) = re.findall("<dc:description>(.*)</dc:description>", (tmp_path / f"{name}.svg").read_text())
        assert described == told.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        assert b"/Subject" in (tmp_path / f"{name}.pdf").read_bytes()


def test_every_picture_of_the_page_has_its_words():
    needed("matplotlib", "pip install '.[plot]'")
    page = report_of([8, 10, 12], model=EVIL).to_html()
    words = re.findall(r'<img alt="([^"]*)"', page)
    assert page.count("<img") == len(words) == 3 and not any("<" in text for text in words)
    assert "50.0 (median of 3 prompts" in words[0] and "rte, p2, " in words[1] and "p2 60.0; p1 50.0; p0 40.0" in words[2]


def test_the_verb_report_draws_prompts(tmp_path, capsys):
    from t0native.cli.main import main

    needed("matplotlib", "pip install '.[plot]'")
    report_of([8, 10]).save(tmp_path / "report.json")
    assert main(["report", str(tmp_path), "--by-prompt", str(tmp_path / "b.svg"), "--task", "rte"]) == 0
    assert "Values by prompt" in (tmp_path / "b.svg").read_text()
