"""Reports: results as figures in a self-contained HTML file or a notebook."""
