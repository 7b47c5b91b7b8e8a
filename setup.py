"""What pyproject.toml cannot say: the suites of benchmarks/ travel in the wheel, as dalib/suites, so that
`dalib run demo` works without the checkout."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SUITES = sorted(Path(__file__).parent.glob("benchmarks/*.toml"))


class BuildWithSuites(build_py):
    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            folder = Path(self.build_lib, "dalib", "suites")
            folder.mkdir(parents=True, exist_ok=True)
            for suite in SUITES:
                shutil.copyfile(suite, folder / suite.name)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        own = [str(Path(self.build_lib, "dalib", "suites", suite.name)) for suite in SUITES]
        return super().get_outputs(include_bytecode) + ([] if self.editable_mode else own)


setup(cmdclass={"build_py": BuildWithSuites})
