"""`dalib.write_page`: the page as a file of its own."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from dalib.bench.suite import Suite
from dalib.core.files import write_text
from dalib.report.page.content import build_content
from dalib.report.page.pictures import PICTURES
from dalib.report.reports import open_records
from dalib.report.source import RecordSource

ASSETS = Path(__file__).with_name("assets")
SCRIPTS = ("numbers.js", "charts.js", "sections.js", "pictures.js", "runs.js", "page.js")


def write_page(
    suite: Suite | str | Path,
    out: str | Path = "report",
    *,
    select: str = "",
    metric: str = "",
    store: str | Path = "results/runs",
    records: RecordSource | str | Path | None = None,
    data_root: str | Path | None = None,
    pictures: int = PICTURES,
) -> Path:
    """Write one page that shows everything that a suite's records hold; needs no network and no server.

    Args
        suite: its file, its name, or the suite itself
        out: a folder, in which it is `index.html`, or a file that ends in .html
        select, metric: what the page shows first; empty = `last`, and the suite's metric
        store: folder of the records
        records: a file that `dalib export` wrote, or records that are open, instead of a store
        data_root: where the pictures of the data lie that rows get right or wrong; None = `DALIB_DATA`
        pictures: most of them that are put into the page, small; 0 = none, for data that may not be shown

    Returns
        the page's path

    Raises
        DalibError: an unknown suite, metric or rule
    """
    source, name = open_records(suite, store, records)
    text = render_page(build_content(source, name, select, metric, data_root=data_root, pictures=pictures))
    path = Path(out)
    path = path if path.suffix == ".html" else path / "index.html"
    write_text(path, text)
    return path


def render_page(content: dict[str, Any], live: bool = False) -> str:
    """The page's text. Its policy lets run nothing but dalib's own script, whatever names the data hold.

    Args
        live: it asks where it came from for what is new
    """
    script = "\n".join((ASSETS / name).read_text(encoding="utf-8") for name in SCRIPTS)
    style = (ASSETS / "page.css").read_text(encoding="utf-8")
    environment = Environment(
        loader=FileSystemLoader(ASSETS), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True, undefined=StrictUndefined,
    )  # fmt: skip
    return environment.get_template("page.html.j2").render(
        title=content["title"], suite=content["suite"], style=style, script=script, data=to_script(content),
        live=live, script_hash=_hash(script), style_hash=_hash(style),
    )  # fmt: skip


def to_script(content: dict[str, Any]) -> str:
    """JSON that ends no script element: `<`, `>` and `&` are escaped."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    text = text.encode("utf-8", "backslashreplace").decode()
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
