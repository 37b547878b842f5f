"""Configuration of the Sphinx build."""

import os
from importlib.util import find_spec
from pathlib import Path

import skmi

os.environ["MPLBACKEND"] = "Agg"  # for the processes that the examples start, too

DOCS = Path(__file__).parent
EXAMPLES = DOCS.parent / "examples"

project = "skmi"
author = copyright = "The skmi developers"
version = release = skmi.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
]
exclude_patterns = ["_build", "_templates"]
templates_path = ["_templates"]
default_role = "py:obj"

autodoc_typehints_format = "short"
autodoc_inherit_docstrings = False  # skorch's docstrings are not those of the overrides here
maximum_signature_line_length = 100
numpydoc_show_class_members = False  # autodoc shows the documented ones

html_theme = "furo" if find_spec("furo") else "alabaster"
html_title = f"skmi {release}"
html_show_copyright = False

sphinx_gallery_conf = {
    "examples_dirs": str(EXAMPLES),
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"[\\/](plot_|quickstart)",
    "image_scrapers": ("matplotlib",),
    "download_all_examples": False,
    "show_signature": False,
}

# sphinx-gallery refuses a folder without a header. Then one page says where the examples are.
if any(EXAMPLES.glob("GALLERY_HEADER.*")):
    extensions.append("sphinx_gallery.gen_gallery")
else:
    placeholder = DOCS / "auto_examples" / "index.rst"
    placeholder.parent.mkdir(exist_ok=True)
    placeholder.write_text("Examples\n========\n\nSee the scripts in the folder ``examples/``.\n")


def setup(app):
    """Leave out the methods that scikit-learn makes for metadata routing."""

    def skip(app, what, name, obj, skipped, options):
        return True if name.startswith("set_") and name.endswith("_request") else skipped

    app.connect("autodoc-skip-member", skip)
