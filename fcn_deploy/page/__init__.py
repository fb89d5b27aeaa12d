"""Draw and render the HTML pages that `bench`, `train` and `evaluate` write: SVG, pictures, one style."""
