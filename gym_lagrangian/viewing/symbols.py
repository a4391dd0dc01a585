"""Names as a physicist writes them: ``theta1`` is θ₁ on a figure."""

from __future__ import annotations

import re
import unicodedata

_SPELT = re.compile(r"\b(alpha|beta|gamma|delta|theta|phi|psi|omega)(\d*)\b")
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def symbols(text: str) -> str:
    """`text` with Greek letters for their names, and their numbers as subscripts."""
    return _SPELT.sub(_symbol, text)


def _symbol(spelt: re.Match[str]) -> str:
    letter = unicodedata.lookup(f"GREEK SMALL LETTER {spelt[1]}")
    return letter + spelt[2].translate(_SUBSCRIPTS)
