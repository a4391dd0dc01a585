"""Roll-outs, films, figures, and a window to play in."""
