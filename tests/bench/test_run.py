"""What of a run's mishaps is its record's, and what is the machine's."""

from __future__ import annotations

import errno

import pytest

from dalib.assemble import RunContext
from dalib.bench.plan import plan
from dalib.bench.run import RecordedRun
from dalib.bench.suite import Suite


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_no_failure_of_the_run(suite: Suite, number: int) -> None:
    run = RecordedRun(plan(suite).runs[0].spec, RunContext())
    with pytest.raises(OSError, match="no room"), run.recording():
        raise OSError(number, "no room")
    assert run.record.status == "ok", "so that nobody takes it for a failed run that is not tried again"
    with run.recording():
        raise OSError(errno.EIO, "a broken disk")
    assert run.record.status == "failed"
