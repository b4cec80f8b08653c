"""The priors that a regressor can have: what is sampled, how, and what its draws forecast.

In: settings and the shape of the data. Out: for each prior a chain (a plain JAX function from key,
rows, targets and degrees of freedom to `Draws`, and to what it goes on from, or None where it does
not), and a function from kept positions to forecasts.

*learned*: `models.bnn`, whose scales are sampled with the rest, by chains that adapt everything.
*returns*: `models.returns`, whose scales are fixed and suit daily returns, by HMC with the metric
that goes with them. *talk*: `models.talk`, flat priors in basis points, for who wants to see them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tilewright.alpha.settings import Chain, Sampler
from tilewright.frozen import frozen
from tilewright.models.bnn import Form

LEARNED, RETURNS, TALK = PRIORS = ("learned", "returns", "talk")


@frozen
class Learned:
    """A net of that form; its degrees of freedom are sampled unless they are known."""

    chain: Chain
    form: Form
    df_known: bool

    def sample(self, key: Any, X: Any, y: Any, df: Any, weight: Any = None) -> Any:
        """One chain; a row counts `weight` (rows,) times."""
        import jax

        from tilewright.alpha.adapted import sample_adapted
        from tilewright.alpha.start import finite_start
        from tilewright.models import bnn

        start, key = jax.random.split(key)
        density = bnn.log_density(X, y, df, weight)
        first = finite_start(start, lambda key: bnn.initial(key, self.form, self.df_known), density)
        uphill = bnn.with_scales_held(density)
        return sample_adapted(self.chain, key, density, first, _whole, uphill)

    def go_on(
        self, keys: Any, tuned: Any, thin: Any, X: Any, y: Any, df: Any, weight: Any = None
    ) -> Any:
        """A draw of the chain for each key, the last of `thin` transitions."""
        from tilewright.alpha.adapted import go_on
        from tilewright.models import bnn

        density = bnn.log_density(X, y, df, weight)
        return go_on(self.chain, keys, density, tuned, _whole, thin)

    def forecast(self, position: Any, X: np.ndarray, df: float) -> tuple[Any, Any, Any]:
        """Mean (rows,), scale () or (rows,) and degrees of freedom () of one draw."""
        from tilewright.models import bnn

        mean, log_scale = bnn.heads(position, X, np)
        return mean, np.exp(log_scale), bnn.degrees(position, df, np)

    def example(self) -> Any:
        """A position, of which the structure counts."""
        import jax

        from tilewright.alpha.keys import root_key
        from tilewright.models import bnn

        return jax.eval_shape(lambda: bnn.initial(root_key(0), self.form, self.df_known))


@frozen
class Returns:
    """The net of the walk-forward job."""

    chain: Sampler
    features: int

    def sample(self, key: Any, X: Any, y: Any, df: Any, weight: Any = None) -> Any:
        from tilewright.alpha.sample import sample_posterior

        return sample_posterior(self.chain, key, X, y, df, keep=_whole, weight=weight), None

    def forecast(self, position: Any, X: np.ndarray, df: float) -> tuple[Any, Any, Any]:
        from tilewright.models.returns import Net, prior_deviation

        deviation = prior_deviation(*position.W1.shape)
        net = Net(*(z * s for z, s in zip(position, deviation, strict=True)))
        mean = np.tanh(X @ net.W1 + net.b1) @ net.w2 + net.b2
        return mean, np.exp(net.log_scale), df

    def example(self) -> Any:
        from tilewright.models.returns import Net

        return Net(0, 0, 0, 0, 0)


@frozen
class Talk:
    """The talk's net and priors; rows are 0.001 times the features, targets in basis points."""

    chain: Chain
    features: int
    hidden: int

    def sample(self, key: Any, X: Any, y: Any, df: Any, weight: Any = None) -> Any:
        from tilewright.alpha.adapted import sample_adapted
        from tilewright.models import talk

        start = talk.start(self.features, self.hidden)
        density = talk.log_density(X, y, weight=weight)
        return sample_adapted(self.chain, key, density, start, _whole)[0], None

    def forecast(self, position: Any, X: np.ndarray, df: float) -> tuple[Any, Any, Any]:
        from tilewright.models import talk

        return talk.predict(position, X, np), np.asarray(talk.SCALE), talk.DF

    def example(self) -> Any:
        from tilewright.models import talk

        return talk.start(self.features, self.hidden)


Prior = Learned | Returns | Talk


def _whole(position: Any) -> Any:
    """All of a draw is kept."""
    return position


def each_draw(positions: Any) -> Iterator[tuple[tuple[int, int], Any]]:
    """`(chain, draw)` and its position in float64, of positions with these leading axes."""
    import jax

    leaves, pattern = jax.tree.flatten(positions)
    leaves = [np.asarray(leaf, np.float64) for leaf in leaves]
    for place in np.ndindex(leaves[0].shape[:2]):
        yield place, jax.tree.unflatten(pattern, [leaf[place] for leaf in leaves])


def forecasts(prior: Prior, positions: Any, X: np.ndarray, df: float) -> tuple[Any, Any, Any]:
    """Of all draws: mean (chains, draws, rows), scale (chains, draws[, rows]), df (chains, draws).

    The scale has no rows where it is the same for all, and df is a number where it is known.
    """
    found = [(place, prior.forecast(at, X, df)) for place, at in each_draw(positions)]
    last = found[-1][0]
    shape = last[0] + 1, last[1] + 1
    mean = np.stack([np.broadcast_to(one[0], len(X)) for _, one in found])
    scale = np.stack([np.asarray(one[1]) for _, one in found])
    known = not (isinstance(prior, Learned) and not prior.df_known)
    degrees = df if known else np.reshape([float(one[2]) for _, one in found], shape)
    return mean.reshape(*shape, len(X)), scale.reshape(*shape, *scale.shape[1:]), degrees
