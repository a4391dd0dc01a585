"""A double pendulum on film."""
