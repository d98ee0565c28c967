"""Price options and solve for their volatilities, on arrays: numbers in, numbers out."""

from __future__ import annotations

import numpy as np

from tomic.quant import american, black_scholes, implied


def main() -> None:
    spot, rate, div_yield, tau = 590.0, 0.045, 0.012, 30 / 365
    strike = np.arange(550.0, 631.0, 10.0)
    is_call = strike >= spot
    sigma = 0.16 - 0.0008 * (strike - spot)

    price = black_scholes.price(spot, strike, tau, rate, div_yield, sigma, is_call)
    iv = implied.implied_vol(price, spot, strike, tau, rate, div_yield, is_call)
    early = american.price(spot, strike, tau, rate, div_yield, sigma, is_call)
    greeks = black_scholes.greeks(spot, strike, tau, rate, div_yield, sigma, is_call)

    print("strike   European   American     IV   delta")
    for row in zip(strike, price, early, iv, greeks.delta, strict=True):
        print("{:6.0f} {:10.4f} {:10.4f} {:6.2%} {:7.3f}".format(*row))


if __name__ == "__main__":
    main()
