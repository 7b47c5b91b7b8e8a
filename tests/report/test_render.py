import io
import re
import shutil
import subprocess
import time
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from dalib.core.errors import DalibError
from dalib.core.registry import FORMATS
from dalib.core.text import show_control
from dalib.records.archive import Archive
from dalib.report.formats.latex import escape_latex
from dalib.report.published import add_published
from dalib.report.render import endings, render, write_report, write_tables
from dalib.report.sheet import Block, Sheet, Shown
from dalib.report.summary import build_summary
from dalib.report.table import build_table
from dalib.report.table_format import TableFormat
from dalib.report.tidy import COLUMNS
from tests.support.report_shelf import FAILED, MISSING, Shelf
from tests.support.waiting import HANG


def test_markdown_is_an_aligned_table_with_its_caption(shelf: Shelf) -> None:
    text = render(build_table(shelf, "toy"), "md")
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(line) for line in lines}) == 1
    assert "| **72.0 ± 2.8** |" in text
    assert "*Uses target labels (reference)*" in text
    assert "no selection" in text


def test_markdown_lists_failures(shelf: Shelf) -> None:
    shelf.put("mcc", "amazon->webcam", [FAILED, MISSING])
    text = render(build_table(shelf, "toy"), "md")
    assert "failed 1/2" in text
    assert "- mcc, amazon->webcam, seed 0: Diverged" in text


def test_latex_is_balanced_and_every_line_is_as_wide_as_the_header(shelf: Shelf) -> None:
    text = render(add_published(build_table(shelf, "toy")), "latex")
    opened, closed = (re.findall(rf"\\{word}{{(\w+)}}", text) for word in ("begin", "end"))
    assert opened == ["table", "tabular"] and closed == ["tabular", "table"]
    plain = re.sub(r"\\[{}&]", "", text)
    assert plain.count("{") == plain.count("}")
    ampersands = {line.count("&") for line in plain.splitlines() if line.endswith("\\\\") and "multicolumn" not in line}
    assert ampersands == {6}
    assert r"\textbf{72.0 $\pm$ 2.8}" in text
    assert r"source\_only" in text and not re.search(r"(?<!\\)_", text)
    assert r"\label{tab:toy}" in text
    assert text.isascii()


def test_the_latex_of_every_committed_suite_compiles(tmp_path: Path) -> None:
    compiler = shutil.which("pdflatex")
    if compiler is None:
        pytest.skip("needs pdflatex with booktabs")
    tables = []
    for file in sorted((Path(__file__).parents[2] / "results" / "records").glob("*.jsonl*")):
        source, suite = Archive(file), file.name.partition(".")[0]
        tables += write_tables(source, suite, tmp_path, formats=["latex"])
        tables += write_report(build_summary(source, suite), tmp_path, f"{suite}.summary", ["latex"])
    pages = "\n".join(rf"\input{{{path.as_posix()}}}\clearpage" for path in tables)
    head = r"\documentclass{article}\usepackage{booktabs,graphicx}\begin{document}"
    (tmp_path / "all.tex").write_text(head + "\n" + pages + "\n" + r"\end{document}")
    command = [compiler, "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=HANG)
    assert done.returncode == 0, done.stdout[-1500:]
    assert "Overfull \\hbox" not in done.stdout


def test_latex_escapes_every_special_character() -> None:
    assert escape_latex(r"a_b & 5% #1 $x$ {y} ~ ^ \z") == (
        r"a\_b \& 5\% \#1 \$x\$ \{y\} \textasciitilde{} \textasciicircum{} \textbackslash{}z"
    )


def test_latex_takes_no_name_for_what_the_end_of_a_row_may_be_followed_by() -> None:
    """The end takes a star and a length in brackets, a rule a width; `--` is a dash, and so is `|` in old fonts."""
    rows = tuple((Shown(name), Shown("1")) for name in ("[2pt]", "*", "a--b|c – d"))
    text = FORMATS.get("latex")().render(Sheet("toy", "Toy", ("Algorithm", "n"), (Block("", rows),)), pd.DataFrame())
    assert "    {}[2pt] & 1 \\\\\n    {}* & 1 \\\\\n    a-{}-b\\textbar{}c -- d & 1 \\\\\n" in text


def test_rst_is_a_list_table_with_its_caption_best_values_notes_and_failures(shelf: Shelf) -> None:
    shelf.put("mcc", "amazon->webcam", [FAILED, MISSING])
    text = render(build_table(shelf, "toy"), "rst")
    assert text.startswith(".. list-table:: Toy suite\n   :header-rows: 1\n   :widths: auto\n\n   * - Algorithm\n")
    rows = re.findall(r"^   \* - .*\n(?:     -.*\n)*", text, re.MULTILINE)
    assert {row.count("\n") for row in rows} == {7}
    assert "     - **72.0 ± 2.8**\n" in text and "   * - *Uses target labels (reference)*\n     -\n" in text
    assert "no selection" in text and "\n\n- mcc, amazon->webcam, seed 0: Diverged" in text
    assert not re.search(r"[ \t]$", text, re.MULTILINE)


TRAPS = (
    "source_only", "a_", "a__", "_a", "*a*", "**", "`a`", "|a|", ":role:`a`", "a::", "::::", "a <b>`_", "[1]_", "__ a",
    "\\", "a\\", "- a", "+ a", "• a", "–", "---", "====", "...", ".. a", ":a: b", "-o a", "--opt", "/V", "| a", ">>> 1",
    "1. a", "12.", "a. b", "(1) a", "A) b", "IV. a", "MMMM. b", "#. a", "３. a", "+--+", "=== ===", "日本_ a", "é_",
    "71.2 ± 0.4", "−2.5 ▼", "p (Holm)", "\x1b[1m", "  ", "a\nb", '"a"', "$a$", "http://a.b/c_", "a@b.c",
)  # fmt: skip


@pytest.mark.parametrize("turn", range(3))
def test_docutils_reads_from_rst_what_every_cell_caption_and_note_said(turn: int) -> None:
    """Without a single message, information included."""
    docutils = pytest.importorskip("docutils.core")
    from docutils import nodes

    for n in range(len(TRAPS)):
        a, b, c, d = (f"{TRAPS[n - k]}{(' ', '', '. ')[turn]}{TRAPS[n - k - 7]}" for k in range(4))
        best, other = (Shown(a), Shown(b, bold=True)), (Shown(c), Shown(d))
        sheet = Sheet("toy", d, (a, b), (Block("", (best,)), Block(c, (other,))), notes=(a,), failures=(b,))
        messages = io.StringIO()
        document = docutils.publish_doctree(
            FORMATS.get("rst")().render(sheet, pd.DataFrame()),
            settings_overrides={"report_level": 1, "warning_stream": messages},
        )
        assert messages.getvalue() == ""
        said = [show_control(" ".join(text.split())) for text in (d, a, b, a, b, c, "", c, d, a, "Failed runs:", b)]
        cells = [*document.findall(nodes.title), *document.findall(nodes.entry)]
        found = [node.astext() for node in cells]
        assert found + [node.astext() for node in document[1:]] == said
        assert [node.astext() for node in document.findall(nodes.strong)] == [said[4]]


def test_rst_without_rows_is_still_a_table_for_docutils() -> None:
    docutils = pytest.importorskip("docutils.core")
    text = FORMATS.get("rst")().render(Sheet("toy", "", ("Algorithm", "n"), ()), pd.DataFrame())
    messages = io.StringIO()
    document = docutils.publish_doctree(text, settings_overrides={"report_level": 1, "warning_stream": messages})
    assert messages.getvalue() == "" and document.astext().split() == ["Algorithm", "n"]


def test_csv_loads_with_the_documented_columns(shelf: Shelf) -> None:
    shelf.put("mcc", "amazon->webcam", [FAILED, MISSING])
    frame = pd.read_csv(io.StringIO(render(build_table(shelf, "toy"), "csv")))
    assert tuple(frame.columns) == COLUMNS
    assert len(frame) == 5 * 2
    line = frame[(frame["label"] == "mmd") & (frame["task"] == "amazon->webcam")].iloc[0]
    assert (line["mean"], line["std"], line["n_ok"], line["source"]) == (72.0, 2.828, 2, "amazon")
    hole = frame[(frame["label"] == "mcc") & (frame["task"] == "amazon->webcam")].iloc[0]
    assert pd.isna(hole["mean"]) and (hole["n_failed"], hole["n_missing"]) == (1, 1)
    assert set(frame["kind"]) == {"run", "reference"}


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_html_escapes_labels_and_asks_nobody_for_anything(shelf: Shelf) -> None:
    shelf.put("<script>&\"'", "amazon->webcam", [0.1, 0.1]).put("<script>&\"'", "webcam->amazon", [0.1, 0.1])
    text = render(add_published(build_table(shelf, "toy")), "html")
    reader = Reader()
    reader.feed(text)
    assert reader.open == []
    assert "script" not in {tag for tag, _ in reader.tags}
    assert "&lt;script&gt;&amp;" in text
    assert not re.search(r"https?://|@import|src=|href=", text)
    titles = {attributes.get("title") for tag, attributes in reader.tags if tag == "td"}
    assert "n = 2 of 2; seed 0: 70.0; seed 1: 74.0" in titles
    assert "prefers-color-scheme: dark" in text


def test_the_terminal_table_holds_the_numbers(shelf: Shelf) -> None:
    text = render(build_table(shelf, "toy"), "terminal")
    assert "72.0 ± 2.8" in text and "−2.5 ▼" in text and "no selection" in text


def test_an_unknown_format_is_named(shelf: Shelf) -> None:
    with pytest.raises(DalibError, match=r"no format named 'latx'; did you mean 'latex'\?"):
        render(build_table(shelf, "toy"), "latx")


def test_files_are_written_whole_and_named_after_the_selection(shelf: Shelf, tmp_path: Path) -> None:
    paths = write_tables(shelf, "toy", tmp_path / "tables", published=True)
    paths += write_tables(shelf, "toy", tmp_path / "tables", select="oracle")
    names = {path.name for path in (tmp_path / "tables").iterdir()}
    assert names == {f"toy{rule}.{ending}" for rule in ("", ".oracle") for ending in ("md", "csv")}
    assert all(path.stat().st_size > 500 for path in paths)
    assert "TARGET TEST LABELS" in (tmp_path / "tables" / "toy.oracle.md").read_text(encoding="utf-8")


def test_formats_that_are_asked_for_are_written_alone(shelf: Shelf, tmp_path: Path) -> None:
    paths = write_tables(shelf, "toy", tmp_path, formats=["latex", "html"])
    assert [path.name for path in paths] == ["toy.tex", "toy.html"]
    assert endings() == {"csv": "csv", "md": "md"}
    with pytest.raises(DalibError, match="format terminal is for the screen"):
        write_tables(shelf, "toy", tmp_path, formats=["terminal"])


def test_a_plug_in_format_joins_and_may_be_written_by_default(shelf: Shelf, tmp_path: Path, monkeypatch) -> None:
    class Wiki(TableFormat):
        """Two columns of a wiki."""

        ending = "wiki"
        by_default = True

        def render(self, sheet: Sheet, frame: pd.DataFrame) -> str:
            return "\n".join(f"| {row[0].text} || {row[1].text}" for block in sheet.blocks for row in block.rows)

    monkeypatch.setattr(FORMATS, "_extra", {"wiki": Wiki})
    names = [path.name for path in write_tables(shelf, "toy", tmp_path)]
    assert names == ["toy.csv", "toy.md", "toy.wiki"]
    assert (tmp_path / "toy.wiki").read_text(encoding="utf-8").startswith("| source_only || 61.0 ± 1.4")


def seconds_of_tables(rows: int) -> float:
    """Processor time for every format of a table of rows × 12 tasks × 5 seeds."""
    shelf = Shelf()
    domains = ("amazon", "caltech", "dslr", "webcam")
    for label in range(rows):
        for task in (f"{s}->{t}" for s in domains for t in domains if s != t):
            shelf.put(f"row_{label}", task, [0.5, 0.6, 0.4, 0.55, 0.45])
    assert len(shelf.records) == 60 * rows
    begun = time.process_time()
    for format in FORMATS.names():
        assert f"row_{rows - 1}" in render(build_table(shelf, "toy"), format).replace("\\", "")
    return time.process_time() - begun


def test_two_thousand_records_take_no_more_time_each_than_five_hundred() -> None:
    few, many = (min(seconds_of_tables(rows) for _ in range(3)) for rows in (8, 34))
    assert many < 2 * 34 / 8 * few, f"{many:.2f} s, of a quarter of them {few:.2f} s"
