"""
The page docs/strategies.md, made from the catalogue.

``python tests/support/strategy_page.py`` writes it anew; a test keeps it current.
"""

from __future__ import annotations

from pathlib import Path

from tomic.strategies.catalogue import templates

PAGE = Path(__file__).parents[2] / "docs" / "strategies.md"

OPENING = """# Strategy catalogue

Made from the program by `python tests/support/strategy_page.py`. Offsets are ranges: widths are
searched, not assumed. Every field can be changed in `tomic.toml` under `[strategies.NAME]`.
"""


def text() -> str:
    """The whole page."""
    parts = [OPENING]
    for template in templates.with_overrides({}).values():
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
