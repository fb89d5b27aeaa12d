"""Draw and render the HTML pages that `bench` and `train` write: SVG, pictures, one style."""
