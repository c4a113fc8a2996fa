"""The report's one style sheet, light and dark."""

STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --dim: #5b6675; --page: #ffffff; --line: #d9dee5;
  --first: #1f6feb; --second: #c2570c; --mark: #8250df; --bad: #b42318; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ee; --dim: #98a3b3; --page: #12161c; --line: #2b333f;
  --first: #6cb0ff; --second: #ffa657; --mark: #c9a3ff; --bad: #ff8b7d; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 860px; margin: 0 auto; padding: 24px 16px 64px; }
h1 { font-size: 26px; margin: 0 0 12px; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 32px 0 4px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 16px; margin: 0; }
dt, .what, .none { color: var(--dim); }
dd { margin: 0; overflow-wrap: anywhere; }
.what { margin: 0 0 8px; max-width: 70ch; }
.bad { color: var(--bad); font-weight: 600; }
svg { display: block; width: 100%; height: auto; }
.grid { stroke: var(--line); stroke-width: 1; }
.axis { fill: var(--dim); font-size: 12px; }
.curve { fill: none; stroke-width: 2; stroke-linejoin: round; }
.band { stroke: none; opacity: 0.2; }
.curve.first { stroke: var(--first); } .band.first, .dot.first { fill: var(--first); }
.curve.second { stroke: var(--second); } .band.second, .dot.second { fill: var(--second); }
.mark { stroke: var(--mark); stroke-dasharray: 3 3; }
.marktext { fill: var(--mark); font-size: 11px; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 4px 12px 4px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--dim); font-weight: 600; }
summary { cursor: pointer; }
"""
