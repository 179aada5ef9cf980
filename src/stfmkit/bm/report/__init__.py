"""The HTML report: words, tables, figures."""
