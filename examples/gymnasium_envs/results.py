"""Results of several seeds as a table."""

import numpy as np


def table(results):
    """Mean, least and largest of the seeds, as Markdown; a cell is empty where nothing is known."""
    names = list({name: None for rows in results.values() for row in rows for name in row})
    lines = [f"| | {' | '.join(names)} |", "|---|" + "---|" * len(names)]
    for what, rows in results.items():
        cells = [spread([row[name] for row in rows if name in row]) for name in names]
        lines.append(f"| {what} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def spread(values):
    """The mean, and the least and the largest value."""
    return f"{np.mean(values):.4g} ({min(values):.4g} – {max(values):.4g})" if values else ""
