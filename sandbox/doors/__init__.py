"""The vendors' APIs through which the outside sees the company."""
