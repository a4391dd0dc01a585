"""Where training states come from, and how models learn from them."""
