"""
The page docs/strategies.md, made from the catalogue.

``python tests/support/strategy_page.py`` writes it anew; a test keeps it current.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

from tomic.config import Settings
from tomic.strategies.catalogue import templates

PAGE = Path(__file__).parents[2] / "docs" / "strategies.md"

OPENING = """# Strategy catalogue

Made from the program by `python tests/support/strategy_page.py`. Offsets are ranges: widths are
searched, not assumed. Every field can be changed in `tomic.toml` under `[strategies.NAME]`.

## Which are searched

`scan.profile = "seller"`, the default, searches
{seller}
all of them {low} to {high} days before expiry, around 45; in a cash account the short put is the
`cash_secured_put`. `"all"` (`tomic scan --profile all`) searches every strategy, each in its own
window. `--strategy` and `scan.strategies` name strategies instead of those of the profile.

A window begins above the days at which `[journal.exits]` closes the strategy (`min_dte`, 21 by
default, 7 for calendars and diagonals): what `tomic journal check` would close the same day is not
proposed. The windows below are those of the default settings; `scan.keep_to_exits = false` leaves
the windows as the catalogue has them.

## Gates

A gate is a condition on the volatility of a symbol, asked before any chain: `tomic explain` lists
the figures. By default there are only gates for which the structure gives a reason: what is sold on
both sides at one delta wants a level smile, a calendar wants a front month at least as rich as the
next. **IV rank is no default gate.** In 448,000 trades of 174 symbols, 2022 to 2025 (priced on a
modelled surface, held to expiry, after costs), short volatility brought -4.0 % of margin below an
IV rank of .1 and -2.9 % [-8.5, 1.6] above .8, flat between; what passed the former gates (IV rank
of .3 or .5) brought -3.2 % [-5.3, -1.4], what failed them -3.6 % [-5.3, -2.1]. IV percentile, IV
less HV and VIX were as flat, and buying was no better where IV rank was low. If you want one:

```toml
[strategies.short_strangle]
gates = ["iv_rank >= 0.5", "abs(skew) <= 0.08"]
```
"""


def text() -> str:
    """The whole page."""
    names = ", ".join(f"`{each.name}`" for each in templates.choose(Settings()))
    seller = textwrap.fill(f"{names},", 100, break_on_hyphens=False)
    low, high = templates.SELLER_DAYS
    parts = [OPENING.format(seller=seller, low=low, high=high)]
    for template in templates.effective(Settings()).values():
        one = templates.describe(template)
        low, high = one["dte"]
        days = f"{low} to {high} days"
        if one["gap"]:
            days += f", the far expiry {one['gap'][0]} to {one['gap'][1]} days later"
        gates = ", ".join(f"`{gate}`" for gate in one["gates"]) or "none"
        legs = [
            f"| {name.replace('_', ' ')} | {leg['quantity']:+d} | "
            f"{'call' if leg['right'] == 'C' else 'put'} | {leg['strike']} | {leg['expiry']} |"
            for name, leg in one["legs"].items()
        ]
        parts += [
            f"## {one['name']}\n",
            f"For: {one['outlook']}. {days}. Gates: {gates}.\n",
            "| leg | quantity | right | strike | expiry |",
            "| --- | --- | --- | --- | --- |",
            *legs,
            "",
        ]
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
