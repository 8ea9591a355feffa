"""Configuration of Sphinx: sphinx-build -W docs docs/_build."""
from __future__ import absolute_import, division, print_function

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import pymesos  # noqa: E402  found beside this folder

project = 'pymesos'
copyright = 'the pymesos authors'
version = release = pymesos.__version__

extensions = ['sphinx.ext.autodoc', 'sphinx.ext.viewcode']
exclude_patterns = ['_build', 'states.rst', 'requirements.txt']
html_theme = 'alabaster'
html_theme_options = {'description': 'Apache Mesos frameworks in pure Python', 'page_width': '1040px'}
html_show_sphinx = False

autodoc_member_order = 'bysource'
autodoc_default_options = {'show-inheritance': True}
