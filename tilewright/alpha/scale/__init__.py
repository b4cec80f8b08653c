"""How widely returns will scatter: a Bayesian net of their scale, walked forward.

settings   what a job's numbers depend on        windows    where each model trains and serves
panel      from prices to rows, with a mask      chain      one chain: cold, or from a state
program    a chain of a window, compiled         fit        a window's model, in a file
rivals     simpler models of the same rows       scored     forecasts against what came
material   what all work shares, and the work    crew       who works: threads here
schedule   what is done when                     cluster    who works: Ray
folder     a job's files, known by their dates   walk       from prices to scored windows
ahead      tomorrow's table                      report/    a page, in words and figures
"""
