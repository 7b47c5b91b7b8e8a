"""Sphinx configuration: Markdown pages, examples that are run, one theme, warnings are errors (`make docs`)."""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import api_page
import catalogue
import docstrings
import front_picture

import dalib

catalogue.write(Path(__file__).parent)
front_picture.draw(Path(__file__).parent / "_static")

project = "dalib"
author = "the dalib developers"
release = dalib.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx_gallery.gen_gallery"]
autosummary_generate = False
python_maximum_signature_line_length = 80
sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "examples",
    "filename_pattern": r"\.py$",
    "copyfile_regex": r"^$",
    "within_subsection_order": "gallery_order.GalleryOrder",
    "abort_on_example_error": True,
    "remove_config_comments": True,
    "capture_repr": (),
    "image_srcset": ["2x"],
    "plot_gallery": "True",
    "write_computation_times": False,
    "show_memory": False,
}
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
myst_enable_extensions = ["attrs_inline", "colon_fence", "dollarmath"]
myst_heading_anchors = 3
html_theme = "furo"
html_show_copyright = False
highlight_language = "none"
html_title = f"dalib {release}"
exclude_patterns = ["_build", "gallery"]
html_static_path = ["_static"]
html_css_files = ["site.css"]


def setup(app: Any) -> None:
    app.connect("source-read", api_page.read_page)
    app.connect("autodoc-process-docstring", docstrings.process)
    app.connect("autodoc-process-signature", api_page.plain_signature)
