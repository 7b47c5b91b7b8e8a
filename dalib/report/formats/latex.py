"""A booktabs table environment."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from dalib.core.text import show_control
from dalib.report.sheet import Sheet, Shown
from dalib.report.table_format import TableFormat


class Latex(TableFormat):
    """A booktabs `table` environment with its caption and notes; needs booktabs and graphicx."""

    ending = "tex"

    def render(self, sheet: Sheet, frame: pd.DataFrame) -> str:
        return render_latex(sheet)


_MARKS = {
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "→": r"$\to$",
    "°": r"$^\circ$",
    "±": r"$\pm$",
    "▼": r"$\downarrow$",
    "▲": r"$\uparrow$",
    "×": r"$\times$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "ρ": r"$\rho$",
    "τ": r"$\tau$",
    "…": r"\dots{}",
    "−": "$-$",
    "–": "--",
    "|": r"\textbar{}",
    "-": "-{}",
}
_SPECIAL = re.compile(f"-(?=-)|[{re.escape(''.join(_MARKS.keys() - {'-'}))}]")


def render_latex(sheet: Sheet) -> str:
    """A whole `table` environment: title as caption, label `tab:<name>`, the notes in small print below."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        variable_start_string="<<", variable_end_string=">>", block_start_string="<%", block_end_string="%>",
        comment_start_string="<#", comment_end_string="#>",
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=StrictUndefined,
    )  # fmt: skip
    return environment.get_template("table.tex.j2").render(
        title=escape_latex(sheet.title.rstrip(".") + "."),
        notes=escape_latex(" ".join(sheet.notes).removeprefix(f"{sheet.title.rstrip('.')}. ")),
        label=re.sub(r"[^A-Za-z0-9:-]+", "-", sheet.name),
        width=len(sheet.header),
        header=[escape_latex(text) for text in sheet.header],
        blocks=[
            {"title": escape_latex(block.title), "rows": [[_text(cell) for cell in row] for row in block.rows]}
            for block in sheet.blocks
        ],
    )


def escape_latex(text: str) -> str:
    """Text that LaTeX prints as it is; two hyphens are no dash."""
    return _SPECIAL.sub(lambda mark: _MARKS[mark[0]], show_control(text).replace("\n", " "))


def _text(cell: Shown) -> str:
    """`[` and `*` at the beginning of a row would belong to the end of the row before, or to its rule."""
    text = escape_latex(cell.text)
    if cell.bold:
        return f"\\textbf{{{text}}}"
    return f"{{}}{text}" if text.startswith(("[", "*")) else text
