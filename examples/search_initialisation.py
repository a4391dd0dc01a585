"""Appendix B searched again: how wide the first weights of a Lagrangian network should spread.

    python examples/search_initialisation.py --out initialisation

draws random networks (50 to 300 units, one to three hidden layers) and finds for each the σ of
every layer with which q̈ and its gradients with respect to every layer's weights look most like unit
Gaussians. What the folder has is not searched again, so the same command goes on after a kill. With
Ray installed (pip install "gym-lagrangian[ray]") the searches run on every core.

The score of σ is that of the paper's own code: over states from unit Gaussians, the sum of the KL
divergences from N(0, 1) of both components of q̈ and of the gradient of Σ q̈ with respect to each
weight matrix, with .1 (r²/2 − log r) for each layer, r = σ √(inputs + outputs) / √6; log₁₀ of it,
and the median over several draws of weights and states. The search is a cross-entropy method over
log σ in place of the paper's tree of Parzen estimators, with as many evaluations, 2,500.

Reference: Cranmer et al., "Lagrangian Neural Networks" (2020), Appendix B and Eq. 3.
"""

import argparse
import json
import time
from functools import partial
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from gym_lagrangian import Coordinates
from gym_lagrangian.files import replacing
from gym_lagrangian.models.embedding import Embedding
from gym_lagrangian.models.lnn import LNN

# q and q̇ of two lengths go into the network as they are: four numbers, as in the paper.
SEEN = Embedding.of(Coordinates(["x", "y"], q_scale=1.0, qd_scale=1.0, tau_scale=1.0))
PLAIN = {"energy_scale": 1.0, "quadratic_start": 0.0}

# Where the search begins: mean and deviation of log σ of the last layer and of the others.
LAST, OTHERS = (3.0, 3.0), (-2.0, 2.0)
POPULATION, ELITE, NARROWEST = 25, 6, 0.05


def setting(index, seed):
    """The width and the depth of a random network."""
    rng = np.random.default_rng([seed, index])
    return int(rng.integers(50, 301)), int(rng.integers(1, 4))


def acceleration(model, q, qd):
    """q̈ of two coordinates, free of the damping of the package's own LNN."""
    ((a, b), (c, d)), (f, g) = model.terms_of_motion(q, qd, jnp.zeros(0))
    return jnp.stack([d * f - b * g, a * g - c * f]) / (a * d - b * c)


def divergence(values):
    """KL(N(mean, deviation²) ‖ N(0, 1)) of the numbers in an array."""
    mean, deviation = jnp.mean(values), jnp.std(values)
    return (mean**2 + deviation**2 - 1.0) / 2.0 - jnp.log(deviation)


def score(model, states, log_sigma, key):
    """log₁₀ of the divergences of one draw of weights and states, a scalar."""
    key_states, *keys = jax.random.split(key, 1 + len(log_sigma))
    sigma = jnp.exp(log_sigma)
    shapes = [weight.shape for weight in model.network.weights]
    parts = zip(sigma, keys, shapes, strict=True)
    drawn = [s * jax.random.normal(k, shape) for s, k, shape in parts]
    q, qd = jnp.split(jax.random.normal(key_states, (states, 4)), 2, axis=1)

    def motion(weights):
        own = eqx.tree_at(lambda m: m.network.weights, model, tuple(weights))
        qdd = jax.vmap(partial(acceleration, own))(q, qd)
        return jnp.sum(qdd), qdd

    gradients, qdd = jax.grad(motion, has_aux=True)(drawn)
    share = sigma * jnp.sqrt(jnp.array([sum(shape) for shape in shapes]) / 6.0)
    kept = 0.1 * jnp.sum(share**2 / 2.0 - jnp.log(share))
    return jnp.log10(sum(map(divergence, [*qdd.T, *gradients])) + kept)


@partial(jax.jit, static_argnames=("states", "draws", "generations"))
def search(model, key, *, states, draws, generations):
    """log σ of every layer, and its score, by the cross-entropy method."""
    layers = len(model.network.weights)
    begin = [jnp.array([*[o] * (layers - 1), last]) for o, last in zip(OTHERS, LAST, strict=True)]

    def judged(candidate, keys):
        return jnp.median(jax.vmap(partial(score, model, states, candidate))(keys))

    def generation(carry, key):
        mean, deviation = carry
        key_candidates, key_draws = jax.random.split(key)
        spread = jax.random.normal(key_candidates, (POPULATION, layers))
        candidates, keys = mean + deviation * spread, jax.random.split(key_draws, draws)
        scores = jax.lax.map(lambda candidate: judged(candidate, keys), candidates)
        scores = jnp.where(jnp.isfinite(scores), scores, jnp.inf)
        best = candidates[jnp.argsort(scores)[:ELITE]]
        new = jnp.mean(best, axis=0), jnp.maximum(jnp.std(best, axis=0), NARROWEST)
        # Half of the way: the elite of a noisy score is partly luck.
        halfway = tuple(0.5 * (a + b) for a, b in zip(carry, new, strict=True))
        return halfway, jnp.min(scores)

    (mean, _), scores = jax.lax.scan(generation, tuple(begin), jax.random.split(key, generations))
    return mean, jnp.mean(scores[-10:])


def searched(path, index, given):
    """The result of one setting, of its file where there is one."""
    if path.exists():
        return json.loads(path.read_text())
    begin = time.monotonic()
    width, depth = setting(index, given["seed"])
    key, key_model = jax.random.split(jax.random.fold_in(jax.random.key(given["seed"]), index))
    model = LNN.build(SEEN, key=key_model, width=width, depth=depth, **PLAIN)
    how = {"states": given["states"], "draws": given["draws"]}
    log_sigma, least = search(model, key, generations=given["evaluations"] // POPULATION, **how)
    found = {"width": width, "depth": depth, "sigma": np.exp(log_sigma).tolist()}
    found |= {"score": float(least), "seconds": time.monotonic() - begin}
    with replacing(path) as part:
        part.write_text(json.dumps(found) + "\n")
    return found


def in_turn(jobs):
    """Result after result, on every core where Ray is installed."""
    try:
        import ray
    except ImportError:
        yield from (searched(*job) for job in jobs)
        return
    ray.init(address="local", include_dashboard=False, log_to_driver=False)
    waiting = [ray.remote(searched).remote(*job) for job in jobs]
    while waiting:
        done, waiting = ray.wait(waiting)
        yield ray.get(done[0])


def coefficients(results):
    """Layer → σ √n over what the paper's formula has beside its coefficient, and the widths."""
    found = {"first layer": [], "hidden layer i, over i": [], "output layer, over n": []}
    for one in results:
        n, (first, *hidden, last) = one["width"], np.sqrt(one["width"]) * np.array(one["sigma"])
        found["first layer"].append((n, first))
        found["hidden layer i, over i"] += [(n, c / i) for i, c in enumerate(hidden, 1)]
        found["output layer, over n"].append((n, last / n))
    return {layer: np.array(pairs) for layer, pairs in found.items()}


def exponent(widths, values):
    """b of values ~ nᵇ and its standard error: 0 where the formula's own power of n is right."""
    x, y = np.log(widths) - np.mean(np.log(widths)), np.log(values)
    slope = x @ y / (x @ x)
    rest = y - y.mean() - slope * x
    return slope, np.sqrt(rest @ rest / max(len(x) - 2, 1) / (x @ x))


def report(results):
    """A line a layer: the median coefficient, its quartiles and error, beside the paper's."""
    paper, rng = [2.2, 0.58, 1.0], np.random.default_rng(0)
    print(f"{len(results)} settings")
    print(f"{'σ √n':24} {'paper':>6} {'median':>8} {'quartiles':>17} {'error':>7} {'beyond':>13}")
    for (layer, pairs), theirs in zip(coefficients(results).items(), paper, strict=True):
        if not len(pairs):
            continue
        widths, values = pairs.T
        low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
        again = np.median(rng.choice(values, (1000, len(values))), axis=1)
        beyond = "" if len(set(widths)) < 3 else "n^{:.2f} ± {:.2f}".format(*exponent(*pairs.T))
        quartiles = f"{low:.3g} – {high:.3g}"
        print(
            f"{layer:24} {theirs:6} {middle:8.3g} {quartiles:>17} {again.std():7.2g} {beyond:>13}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", type=int, default=200)
    parser.add_argument("--evaluations", type=int, default=2_500)
    parser.add_argument("--states", type=int, default=64, help="the paper's code: 256")
    parser.add_argument("--draws", type=int, default=4, help="the paper's code: 10")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("initialisation"))
    given = vars(parser.parse_args())
    out, count = given.pop("out").resolve(), given.pop("settings")
    name = "-".join(str(value) for value in given.values())
    jobs = [(out / name / f"{index:04d}.json", index, given) for index in range(count)]
    results = list(tqdm(in_turn(jobs), total=count, unit="setting"))
    report(sorted(results, key=lambda one: (one["depth"], one["width"])))


if __name__ == "__main__":
    main()
