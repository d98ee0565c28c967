"""The views of the panel: one a subject, and the sheets over them."""
