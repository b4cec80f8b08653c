"""The style sheet of the page: bars by kind, colours that print in grey, narrow screens."""

from __future__ import annotations

STYLE = """
:root { --ink: #1f2933; --soft: #52606d; --line: #dde3e9; --blue: #0b6e99; --back: #f6f8fa;
  --grey: #77808b }
* { box-sizing: border-box }
body { margin: 0; font: 15px/1.55 system-ui, sans-serif; color: var(--ink);
  background: var(--back) }
main { max-width: 56rem; margin: 0 auto; padding: 2.2rem 1rem 4rem }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .4rem }
h2 { font-size: 1.2rem; margin: 0 0 .5rem } h3 { font-size: 1rem; margin: 1.2rem 0 .3rem }
h4 { font-size: .9rem; margin: .9rem 0 .2rem }
section { background: #fff; border: 1px solid var(--line); border-radius: 8px;
  padding: 1.2rem 1.4rem; margin: 1.2rem 0 }
.soft, .kinds { color: var(--soft); font-size: .87rem }
.found { margin: .2rem 0 .8rem; padding-left: 1.1rem } .found li { margin: .15rem 0 }
blockquote { margin: .5rem 0; padding: .1rem 0 .1rem .9rem; border-left: 3px solid var(--line) }
blockquote p { margin: .1rem 0 } blockquote p + p { color: var(--soft); font-size: .85rem }
.bars div { display: grid; grid-template-columns: 14rem 1fr 10rem; gap: .6rem;
  align-items: center; margin: 2px 0 }
.bars span { overflow: hidden; text-overflow: ellipsis }
.bars i { display: block; height: 15px }
.bars em { font-style: normal; text-align: right; white-space: nowrap;
  font-variant-numeric: tabular-nums }
.bars b, .kinds b { display: block; height: 100%; min-width: 2px; background: var(--grey);
  border: 1px solid #4a4f57 }
.kinds { list-style: none; padding: 0; columns: 2 18rem }
.kinds b { display: inline-block; width: 26px; height: 11px; margin-right: 8px }
.bars b.ours { background: var(--blue); border-color: #084c6a }
.bars b.extrapolated, .kinds b.extrapolated {
  background: repeating-linear-gradient(45deg, var(--grey) 0 4px, #fff 4px 8px) }
.bars b.extrapolated.ours {
  background: repeating-linear-gradient(45deg, var(--blue) 0 4px, #fff 4px 8px) }
.bars b.published, .kinds b.published { background: #fff; border-style: dotted;
  border-width: 2px }
.bars b.modelled, .kinds b.modelled {
  background: radial-gradient(var(--grey) 1.4px, #fff 1.6px) 0 0 / 5px 5px }
.bars b.cut { clip-path: polygon(0 0, calc(100% - 6px) 0, 100% 20%, calc(100% - 6px) 40%,
  100% 60%, calc(100% - 6px) 80%, 100% 100%, 0 100%) }
.bars b.published.cut { background: var(--line) }
svg { display: block; width: 100%; height: auto }
svg text { font-size: 13px; fill: var(--soft) } svg .grid { stroke: var(--line) }
.legend { font-size: .85rem; margin: .3rem 0 0 }
.legend span { display: inline-block; margin-right: 1.1rem }
.legend svg { display: inline-block; width: 34px; height: 10px; margin-right: 6px }
.scroll { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .87rem }
td, th { padding: .22rem .9rem .22rem 0; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--line) }
td.left, th.left { text-align: left }
small { color: var(--soft); font-size: .92em }
.fit { width: 100%; font-size: .82rem } .fit td, .fit th { white-space: normal;
  padding: .22rem .5rem .22rem 0; vertical-align: top } .whole { white-space: nowrap }
.fit td:first-child { min-width: 5.5rem } .fit th { vertical-align: bottom }
details { margin-top: .8rem } summary { cursor: pointer; font-weight: 600 }
.warn { color: #8a3b12 }
@media (max-width: 34rem) {
  main { padding: 1.2rem .6rem 3rem } section { padding: .9rem .8rem }
  .bars div { grid-template-columns: 1fr auto; gap: 0 .5rem; margin: .35rem 0 }
  .bars i { grid-column: 1 / -1; order: 3; height: 12px }
  svg text { font-size: 20px } h1 { font-size: 1.35rem } }
@media print { body { background: #fff } section { break-inside: avoid } }
"""
