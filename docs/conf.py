"""The site: `sphinx-build -W docs docs/_build`. Builds without a network; every example on it is run by tests/unit/docs."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent / "src")]

import ranef  # noqa: E402

project = "ranef"
author = "The ranef developers"
copyright = author
version = release = ranef.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc", "docstrings", "mathml", "formulas"]
exclude_patterns = ["_build", "_ext"]
source_suffix = {".md": "markdown"}
nitpicky = False

myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3
myst_dmath_double_inline = True

highlight_language = "none"  # indented blocks are formulas
trim_doctest_flags = True
default_role = "code"
add_module_names = False
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 88
numpydoc_show_class_members = False
autosummary_generate = False
numpydoc_use_plots = False
html_math_renderer = "mathml"

html_theme = "pydata_sphinx_theme"
html_title = "ranef"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "navigation_with_keys": False,
    "show_prev_next": True,
    "navbar_align": "left",
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
