"""The faces of a table: plain text, HTML, LaTeX and Markdown. They lay out cells and compute nothing."""
