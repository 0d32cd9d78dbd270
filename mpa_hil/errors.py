"""The project's errors under the name that the top storey uses; see `radios.errors`."""

from radios.errors import LocalError, MachineError, MpaError, RemoteError

__all__ = ["DecodeError", "LocalError", "MachineError", "MpaError", "RemoteError"]


class DecodeError(RemoteError):
    """Octets that are no message of the protocol named in `where`: the one error of decoders."""
