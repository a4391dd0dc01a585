"""The colours of pictures: those of Okabe and Ito, which the colour-blind can tell apart.

Translucency is a pale opaque colour: on white that looks the same and costs nothing.
"""

from __future__ import annotations

import functools

Colour = tuple[int, int, int]

WHITE: Colour = (255, 255, 255)
INK: Colour = (50, 50, 50)
FAINT: Colour = (190, 190, 190)
BLUE: Colour = (0, 114, 178)
SKY_BLUE: Colour = (86, 180, 233)
GREEN: Colour = (0, 158, 115)
VERMILLION: Colour = (213, 94, 0)
PURPLE: Colour = (204, 121, 167)
ORANGE: Colour = (230, 159, 0)

BOB, GHOST_BOB, GHOST_ROD = BLUE, (185, 185, 185), (215, 215, 215)
TRUTH: Colour = (120, 120, 120)  # the ghost's grey, dark enough for text and thin lines
POSITIVE, NEGATIVE, TARGET, TRACE = GREEN, VERMILLION, PURPLE, SKY_BLUE
MODELS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY_BLUE, INK)  # beside each other


@functools.cache
def fading(colour: Colour, steps: int) -> tuple[Colour, ...]:
    """The colour and what lies between it and white, in so many equal steps."""
    shades = []
    for step in range(steps):
        red, green, blue = (round(part + (255 - part) * step / steps) for part in colour)
        shades.append((red, green, blue))
    return tuple(shades)
