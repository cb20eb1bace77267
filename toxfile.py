"""The tox runner `shared`: checks run in the environment tox itself is installed in.

tox-current-env alone does not do: it puts a link to the interpreter into each check's own folder and that folder first
on PATH, where `python` no longer finds the `pyvenv.cfg` of the environment and falls back to the base interpreter.
"""

from pathlib import Path

from tox.execute.api import Execute
from tox.execute.local_sub_process import LocalSubProcessExecutor
from tox.plugin import impl
from tox.tox_env.register import ToxEnvRegister
from tox_current_env.hooks4 import CurrentEnv


class SharedEnv(CurrentEnv):
    """One check, run with the interpreter and scripts of tox's own environment."""

    @staticmethod
    def id() -> str:
        """Return the name `runner` in tox.ini refers to."""
        return "shared"

    @property
    def executor(self) -> Execute:
        """Return tox's own executor, which leaves PATH as `prepend_env_var_path` made it."""
        return LocalSubProcessExecutor(self.options.is_colored)

    def create_python_env(self) -> None:
        """Leave an empty folder for tox's records instead of links to the interpreter."""
        Path(self.env_dir).mkdir(parents=True, exist_ok=True)


@impl
def tox_register_tox_env(register: ToxEnvRegister) -> None:
    """Make the runner known to tox."""
    register.add_run_env(SharedEnv)
