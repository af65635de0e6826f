"""Results to look at, in one HTML file or in a notebook."""
