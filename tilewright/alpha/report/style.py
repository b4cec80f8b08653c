"""The page's style sheet."""

from __future__ import annotations

CSS = """
:root { --ink: #1f2933; --soft: #52606d; --line: #e4e9ee;
  --net: #0b6e99; --good: #2f8f5b; --bad: #b23c3a; }
* { box-sizing: border-box; }
body { margin: 0; background: #f5f7f9; color: var(--ink);
  font: 16px/1.55 Inter, system-ui, -apple-system, "Segoe UI", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 40px 20px 64px; }
h1 { font-size: 30px; line-height: 1.25; margin: 0 0 6px; letter-spacing: -0.01em; }
h2 { font-size: 19px; margin: 0 0 4px; }
.kicker { color: var(--net); font-weight: 600; font-size: 14px; margin: 0 0 10px; }
.lede { color: var(--soft); margin: 0 0 24px; }
section { background: white; border: 1px solid var(--line); border-radius: 10px;
  padding: 22px 24px; margin: 0 0 18px; }
section > p.note { color: var(--soft); font-size: 14px; margin: 0 0 10px; max-width: 78ch; }
.verdict { border-left: 5px solid var(--net); }
.verdict.unsound { border-left-color: var(--bad); }
.verdict ul { margin: 10px 0 0; padding-left: 20px; }
.verdict li { margin: 5px 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px;
  margin: 0 0 18px; }
.tile { background: white; border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px; }
.tile b { display: block; font-size: 24px; line-height: 1.2; font-variant-numeric: tabular-nums; }
.tile span { color: var(--soft); font-size: 13px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px;
  font-variant-numeric: tabular-nums; }
th, td { padding: 7px 10px; text-align: right; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
th { color: var(--soft); font-weight: 600; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
tr.net td { background: #eef6fa; font-weight: 600; }
tr.net td:first-child { padding-left: 8px; }
td small { display: block; color: var(--soft); font-weight: 400; font-size: 12.5px; }
td small.better { color: var(--good); font-weight: 600; }
td small.worse { color: var(--bad); font-weight: 600; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 18px; }
.pair > section { min-width: 0; }
@media (max-width: 860px) { .pair { grid-template-columns: 1fr; } }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 18px; margin: 0;
  font-size: 14px; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 480px) { main { padding: 20px 10px 40px; }
  section { padding: 16px 12px; } h1 { font-size: 23px; }
  th, td { padding: 5px 3px; font-size: 11px; white-space: normal; }
  td small { font-size: 9.5px; }
  dl { grid-template-columns: 1fr; } dt { margin-top: 6px; } }
"""
