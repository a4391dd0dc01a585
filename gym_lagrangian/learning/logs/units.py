"""Units of logs, each as a number of SI units."""

import math

ANGLES = {"rad": 1.0, "deg": math.pi / 180, "turn": 2 * math.pi}
LENGTHS = {"m": 1.0, "mm": 1e-3}
TIMES = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "min": 60.0}

# Of velocities, by whether they are those of an angle.
VELOCITIES = {
    True: {f"{name}/s": size for name, size in ANGLES.items()} | {"rpm": 2 * math.pi / 60},
    False: {f"{name}/s": size for name, size in LENGTHS.items()},
}
