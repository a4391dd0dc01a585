"""Gymnasium's own environments, originals and learned twins."""
