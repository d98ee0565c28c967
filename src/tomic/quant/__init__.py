"""
Numerical kernels: numbers in, numbers out.

Arrays in and arrays out, scalars broadcast; numpy and ``scipy.special`` only. Nothing here knows a
setting, a model, a file or the time of day. Import the submodule you need:

- ``black_scholes``: European price and Greeks;
- ``implied``: implied volatility, NaN with a reason where there is none;
- ``american``: early exercise, dividends, de-Americanised volatility;
- ``parity``: forwards and yields from put-call parity;
- ``events``: what earnings and the like add to a term structure;
- ``surface``: skew, term structure, expected moves, model-free variance;
- ``smile``: fitted smiles and the densities they imply;
- ``realized``: volatility from prices, ranks, cones, beta;
- ``payoff``: what a structure pays, exact at its kinks;
- ``probability``: chances, expected value and sizing under any density, chances along the path;
- ``margin``: what a broker asks for a structure.

Units: prices in currency per share, volatility and rates as fractions, ``tau`` in years (act/365),
vega per 0.01 of volatility, theta per calendar day, rho per 0.01 of the rate, quantity signed. A
missing number is NaN.
"""

from tomic import _lazy

# It needs scipy, and what reads stored days needs it last.
_lazy.offer(__name__, modules="surface")
