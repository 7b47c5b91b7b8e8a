"""Sphinx configuration: Markdown pages, one theme, warnings are errors (`make docs`)."""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import catalogue
import docstrings

import dalib

catalogue.write(Path(__file__).parent)

project = "dalib"
author = "the dalib developers"
release = dalib.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
html_theme = "furo"
html_show_copyright = False
highlight_language = "none"
html_title = f"dalib {release}"
exclude_patterns = ["_build"]


def setup(app: Any) -> None:
    app.connect("autodoc-process-docstring", docstrings.process)
