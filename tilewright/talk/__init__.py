"""The talk's charts, made again on this machine: `tilewright talk`.

Steps (`steps.py`) measure, each in a process of its own (`running.py`), and leave points in one
JSON file (`record.py`); the page (`page.py`) draws them beside what the talk claimed (`claims.py`).
Every number has a kind (`figures.py`), and a ratio is only formed of two that were measured by
turns in one run.
"""
