"""The project's errors under the name that the top storey uses; see `radios.errors`."""

from radios.errors import LocalError, MachineError, MpaError, RemoteError

__all__ = ["LocalError", "MachineError", "MpaError", "RemoteError"]
