"""stub"""


def export_records() -> None: ...
