"""What people look at: roll-outs, films, figures, a window to play in."""
