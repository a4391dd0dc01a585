"""Put a learned model under an environment that already has wrappers and options of its own.

python examples/wrap_environment.py
"""

import gymnasium
from gymnasium.wrappers import RecordEpisodeStatistics

import gym_lagrangian


def random_episode(env: gymnasium.Env, seed: int) -> dict:
    """The last info of an episode of random torques."""
    env.reset(seed=seed)
    env.action_space.seed(seed)
    while True:
        *_, terminated, truncated, info = env.step(env.action_space.sample())
        if terminated or truncated:
            return info


def main() -> None:
    exact = gymnasium.make("DoublePendulum-v0", actuated="elbow", max_episode_steps=100)
    learned = gym_lagrangian.LearnedDynamicsEnv(exact, "DoublePendulumLNN")
    info = random_episode(RecordEpisodeStatistics(learned), seed=0)
    print(f"learned: return {info['episode']['r']:.3f}, drift {info['energy_drift']:.1e}")

    exact = learned.unwrap()  # the environment has its own dynamics back
    info = random_episode(RecordEpisodeStatistics(exact), seed=0)
    print(f"exact:   return {info['episode']['r']:.3f}, drift {info['energy_drift']:.1e}")


if __name__ == "__main__":
    main()
