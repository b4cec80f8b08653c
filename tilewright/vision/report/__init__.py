"""The page of a finished job, and the files beside it."""
