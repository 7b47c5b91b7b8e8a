"""Loss terms, metrics and settings for MLflow: a folder, a database or a server (`mlflow ui --backend-store-uri …`)."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dalib.train.tracking import Tracker


class MLflow(Tracker):
    """A run of the experiment `group` where MLFLOW_TRACKING_URI says, default the folder `tracking/mlflow`.

    Args
        place: a folder, or an address (`sqlite:///runs.db`, `http://127.0.0.1:5000`)
        name: of the run; empty = the algorithm, the task and the seed
        group: of runs, of a suite its name
        window: steps whose terms are read from the device together, >= 1
    """

    package = "mlflow"

    def __init__(self, place: str | Path = "", name: str = "", group: str = "dalib", window: int = 50) -> None:
        home = os.environ.get("MLFLOW_TRACKING_URI") or "tracking/mlflow"
        super().__init__(str(place) or home, name, group, window)

    def open(self, name: str, settings: Mapping[str, Any], known: str) -> str:
        from mlflow.entities import Param
        from mlflow.tracking import MlflowClient

        self.client = MlflowClient(tracking_uri=self._address())
        if known:
            self.id = known
            self.client.update_run(known, status="RUNNING")
            return known
        self.id = self.client.create_run(self._experiment(), run_name=name).info.run_id
        facts = [Param(_plain(key), str(value)[:500]) for key, value in settings.items()]
        for start in range(0, len(facts), 100):
            self.client.log_batch(self.id, params=facts[start : start + 100])
        return self.id

    def log(self, step: int, values: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        rows = [Metric(_plain(key), value, now, step) for key, value in values.items()]
        for start in range(0, len(rows), 1000):
            self.client.log_batch(self.id, metrics=rows[start : start + 1000])

    def close(self, failed: bool) -> None:
        self.client.set_terminated(self.id, "FAILED" if failed else "FINISHED")

    def _address(self) -> str:
        if "://" in self.place:
            return self.place
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # newer versions refuse a folder otherwise
        Path(self.place).mkdir(parents=True, exist_ok=True)
        return Path(self.place).resolve().as_uri()

    def _experiment(self) -> str:
        """Of the group's name; two processes may make it at once."""
        for last in (False, True):
            found = self.client.get_experiment_by_name(self.group)
            if found is not None:
                return str(found.experiment_id)
            try:
                return str(self.client.create_experiment(self.group))
            except Exception:
                if last:
                    raise
        return ""


def _plain(key: str) -> str:
    """A key of the characters that MLflow takes."""
    return re.sub(r"[^\w .:/-]", "_", key)[:240]
