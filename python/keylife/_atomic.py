# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""A file that takes the place of another as a whole, or not at all."""

import os
import secrets
import stat
from typing import Optional, Union


class Replacement:
    """A new file beside path. commit puts it in the place of what is there; discard removes it."""

    def __init__(self, path: str, mode: Optional[int] = None) -> None:
        """mode: of the file; without it that of the file there, and for a new one what the umask says."""
        self._path = os.path.realpath(path)  # a link stays one
        folder, name = os.path.split(self._path)
        self._temporary = os.path.join(folder, f".{name[:200]}.{secrets.token_hex(8)}.tmp")
        descriptor = os.open(self._temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else mode)
        try:
            if mode is None and os.path.exists(self._path):
                os.fchmod(descriptor, stat.S_IMODE(os.stat(self._path).st_mode))
            self._file = open(descriptor, "wb")
        except BaseException:
            os.close(descriptor)
            os.unlink(self._temporary)
            raise

    def write(self, data: Union[bytes, memoryview]) -> int:
        return self._file.write(data)

    def commit(self) -> None:
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            os.replace(self._temporary, self._path)
        except BaseException:
            self.discard()
            raise
        _sync_folder(os.path.dirname(self._path))

    def discard(self) -> None:
        try:
            self._file.close()  # which may have something left to write
        except OSError:
            pass
        try:
            os.unlink(self._temporary)
        except FileNotFoundError:
            pass


def replaceable(path: str) -> bool:
    """Whether a file may take the place of what is there: it must not that of a device or a pipe."""
    return not os.path.exists(path) or os.path.isfile(path)


def _sync_folder(folder: str) -> None:
    """Makes the new name last. Not every file system can, and the file is whole either way."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)
