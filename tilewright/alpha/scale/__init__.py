"""How widely returns will scatter: a Bayesian net of their scale, walked forward.

settings   what a job's numbers depend on        windows    where each model trains and serves
panel      from prices to rows, with a mask      chain      one chain: cold, or from a state
program    all chains of a window, compiled      fit        a window's model, in a file
rivals     simpler models of the same rows       scored     forecasts against what came
folder     a job's files, known by their dates   walk       from prices to scored windows
ahead      tomorrow's table                      report/    a page, in words and figures
"""
