"""Sphinx configuration: Markdown pages, one theme, warnings are errors (`make docs`)."""

import dalib

project = "dalib"
author = "the dalib developers"
release = dalib.__version__
extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = f"dalib {release}"
exclude_patterns = ["_build"]
suppress_warnings = ["misc.highlighting_failure"]
