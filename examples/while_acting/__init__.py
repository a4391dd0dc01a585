"""What the examples about learning while acting share."""
