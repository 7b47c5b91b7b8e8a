"""Where runs happen, one file per way: `execute(jobs, work, workers) -> Iterator[(job, result)]`, in any order.

`result` is None for a job that could not be done at all (its worker died twice).
"""
