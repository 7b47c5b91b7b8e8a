"""An executor that forgets the last job and returns a list."""


def execute(jobs, work, workers):
    return [(job, work(job)) for job in list(jobs)[:-1]]
