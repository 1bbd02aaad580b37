"""Times other suites' environments; run by the Python of an environment that has them.

    python peer_script.py SECONDS ROUNDS [NAME ...]

Prints a line of JSON per suite: its name, its version, and steps per second of every round; or why
there are none. It imports nothing of ours, and each suite only when it is its turn. Actions are
random legal ones, made inside of the compiled loop where there is one; resets are automatic where
the suite has that, and counted with the steps as its own users would.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any, NamedTuple

BATCH = 1024
"""Environments of a suite that steps many at a time."""
SCAN = 64
"""Steps of a batch in one compiled call."""

Play = tuple[Callable[[], Any], int]
"""What plays on for a while, and the steps that this is."""


class Peer(NamedTuple):
    """A suite's environment."""

    package: str
    """As it is installed."""
    what: str
    """What a step is."""
    make: Callable[[], Play]
    """Makes it ready to play."""


PEERS: dict[str, Peer] = {}
"""All by name."""


def peer(name: str, package: str, what: str) -> Callable[[Callable[[], Play]], Callable[[], Play]]:
    """Enter an environment into the table."""

    def enter(make: Callable[[], Play]) -> Callable[[], Play]:
        PEERS[name] = Peer(package, what, make)
        return make

    return enter


def scanned(step: Callable[[Any, Any], tuple[Any, Any]], carry: Any, steps: int) -> Play:
    """Return play that takes steps of a JAX batch inside one compiled call.

    Args:
        step: (carry, key) to the next carry and what is seen, which is summed up so that the
            compiler leaves nothing out.
        carry: of the first step.
        steps: that one step of the batch counts as.
    """
    import jax

    def on(carry: Any, key: Any) -> Any:
        def body(now: Any, key: Any) -> Any:
            now, seen = step(now, key)
            return now, sum(leaf.sum() for leaf in jax.tree.leaves(seen))

        return jax.lax.scan(body, carry, jax.random.split(key, SCAN))

    compiled, state = jax.jit(on), [carry, jax.random.PRNGKey(1)]

    def play() -> None:
        state[1], key = jax.random.split(state[1])
        state[0], sums = compiled(state[0], key)
        sums.block_until_ready()

    return play, SCAN * steps


def keys_of(key: Any, count: int = BATCH) -> Any:
    """Return so many keys."""
    import jax

    return jax.random.split(key, count)


@peer(
    "gymnax CartPole", "gymnax", f"step of {BATCH} environments, inside a compiled scan, resets in"
)
def gymnax_cartpole() -> Play:
    """Return play of gymnax."""
    import gymnax
    import jax

    env, params = gymnax.make("CartPole-v1")
    _, state = jax.vmap(env.reset, (0, None))(keys_of(jax.random.PRNGKey(0)), params)

    def step(state: Any, key: Any) -> Any:
        actions = jax.random.randint(key, (BATCH,), 0, 2)
        seen, state, reward = jax.vmap(env.step, (0, 0, 0, None))(
            keys_of(key), state, actions, params
        )[:3]
        return state, (seen, reward)

    return scanned(step, state, BATCH)


@peer("pgx tic-tac-toe", "pgx", f"move in one of {BATCH} games, inside a compiled scan, resets in")
def pgx_tic_tac_toe() -> Play:
    """Return play of pgx."""
    import jax
    import pgx
    from pgx.experimental import act_randomly, auto_reset

    env = pgx.make("tic_tac_toe")
    on = jax.vmap(auto_reset(env.step, env.init))
    state = jax.vmap(env.init)(keys_of(jax.random.PRNGKey(0)))

    def step(state: Any, key: Any) -> Any:
        state = on(state, act_randomly(key, state.legal_action_mask), keys_of(key))
        return state, (state.observation, state.rewards)

    return scanned(step, state, BATCH)


@peer(
    "JaxMARL simple_spread",
    "jaxmarl",
    f"agent step, 3 agents x {BATCH}, inside a compiled scan, resets in",
)
def jaxmarl_spread() -> Play:
    """Return play of JaxMARL."""
    import jax
    import jaxmarl

    env = jaxmarl.make("MPE_simple_spread_v3")
    agents = env.agents
    _, state = jax.vmap(env.reset)(keys_of(jax.random.PRNGKey(0)))

    def step(state: Any, key: Any) -> Any:
        drawn = jax.random.randint(key, (len(agents), BATCH), 0, 5)
        actions = dict(zip(agents, drawn, strict=True))
        seen, state, rewards, _, _ = jax.vmap(env.step)(keys_of(key), state, actions)
        return state, (seen, rewards)

    return scanned(step, state, BATCH * len(agents))


@peer(
    "Jumanji JobShop",
    "jumanji",
    "step of 64 shops, inside a compiled scan, resets in; 10 machines choose",
)
def jumanji_job_shop() -> Play:
    """Return play of Jumanji."""
    import jax
    import jax.numpy as jnp
    import jumanji
    from jumanji.wrappers import VmapAutoResetWrapper

    count = 64
    env = VmapAutoResetWrapper(jumanji.make("JobShop-v0"))
    state, timestep = env.reset(keys_of(jax.random.PRNGKey(0), count))

    def step(carry: Any, key: Any) -> Any:
        state, timestep = carry
        legal = timestep.observation.action_mask
        actions = jax.random.categorical(key, jnp.where(legal, 0.0, -jnp.inf))
        state, timestep = env.step(state, actions)
        return (state, timestep), (timestep.observation, timestep.reward)

    return scanned(step, (state, timestep), count)


@peer("Gymnasium CartPole", "gymnasium", f"step of {BATCH} environments as NumPy arrays, resets in")
def gymnasium_cartpole() -> Play:
    """Return play of Gymnasium's own vector environment."""
    import gymnasium
    import numpy as np

    envs = gymnasium.make_vec(
        "CartPole-v1", num_envs=BATCH, vectorization_mode="vector_entry_point"
    )
    envs.reset(seed=0)
    actions = np.random.default_rng(0).integers(2, size=(SCAN, BATCH))

    def play() -> None:
        for chosen in actions:
            envs.step(chosen)

    return play, SCAN * BATCH


@peer(
    "EnvPool CartPole", "envpool", "step of 64 environments in C++ threads, resets in; frame skip 1"
)
def envpool_cartpole() -> Play:
    """Return play of EnvPool."""
    import envpool
    import numpy as np

    count = 64
    envs = envpool.make_gymnasium("CartPole-v1", num_envs=count)
    envs.reset()
    actions = np.random.default_rng(0).integers(2, size=(SCAN, count)).astype(np.int32)

    def play() -> None:
        for chosen in actions:
            envs.step(chosen)

    return play, SCAN * count


@peer("VMAS simple_spread", "vmas", f"agent step, 3 agents x {BATCH}, as torch tensors, no resets")
def vmas_spread() -> Play:
    """Return play of VMAS."""
    import vmas

    envs = vmas.make_env(
        "simple_spread", num_envs=BATCH, device="cpu", continuous_actions=False, seed=0
    )

    def play() -> None:
        envs.step(envs.get_random_actions())

    return play, BATCH * envs.n_agents


@peer("MPE2 simple_spread", "mpe2", "agent step, 3 agents, Parallel API, resets in")
def mpe2_spread() -> Play:
    """Return play of MPE2."""
    import numpy as np
    from mpe2 import simple_spread_v3

    env = simple_spread_v3.parallel_env()
    env.reset(seed=0)
    drawn = np.random.default_rng(0).integers(5, size=(SCAN, 3)).tolist()

    def play() -> None:
        for row in drawn:
            if not env.agents:
                env.reset()
            env.step(dict(zip(env.agents, row, strict=True)))

    return play, SCAN * 3


@peer(
    "mobile-env small", "mobile-env", "step in which 5 users are connected by one agent, resets in"
)
def mobile() -> Play:
    """Return play of mobile-env."""
    import gymnasium
    import mobile_env  # noqa: F401  (registers its environments)

    env = gymnasium.make("mobile-small-central-v0")
    env.reset(seed=0)

    def play() -> None:
        for _ in range(8):
            _, _, terminated, truncated, _ = env.step(env.action_space.sample())
            if terminated or truncated:
                env.reset()

    return play, 8


def rates(make: Callable[[], Play], seconds: float, rounds: int) -> list[float]:
    """Return steps per second of every round."""
    play, steps = make()
    play()  # compiles
    found = []
    for _ in range(rounds):
        count, start = 0, time.perf_counter()
        while (now := time.perf_counter()) - start < seconds or count == 0:
            play()
            count += steps
        found.append(count / (now - start))
    return found


def main(seconds: float, rounds: int, names: list[str]) -> Iterator[dict[str, Any]]:
    """Measure suites; yield what is to be said of each."""
    for name in names or PEERS:
        found = PEERS[name]
        try:
            row = {"name": name, "version": version(found.package)}
            yield row | {"per_s": rates(found.make, seconds, rounds)}
        except Exception as error:  # whatever it is, the others go on
            said = f"{type(error).__name__}: {error}".splitlines()
            yield {"name": name, "failed": said[0][:200]}


if __name__ == "__main__":
    for line in main(float(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]):
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
