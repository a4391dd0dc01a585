"""Gymnasium's own environments, as they are and as models have learned them."""
