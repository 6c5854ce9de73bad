# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""python -m keylife inspect: what messages are. python -m keylife rewrap: a column of a database under the newest version."""

import argparse
import sys
from importlib import import_module
from typing import Any, Callable, Dict, List, Optional, Sequence, TextIO, Union

from . import inspect
from ._client import Client
from ._column import ColumnCipher
from ._lazy import Lazy
from ._rewrap_command import DONE, EXIT_CODES, FAILED, LEFT, add_arguments, execute
from .errors import InvalidMessage
from .legacy import readers


def main(arguments: Optional[Sequence[str]] = None, *, client: Optional[Callable[..., Client]] = None, out: TextIO = sys.stdout) -> int:
    options = _parser().parse_args(arguments)
    if options.command == "inspect":
        try:
            return _inspect(options.messages, out)
        except OSError as error:
            sys.stderr.write(f"{error}\n")
            return FAILED
    return _rewrap(options, client or Client, out)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m keylife")
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("inspect", help="tell key and version of messages; needs no Vault")
    one.add_argument("messages", nargs="*", metavar="MESSAGE|FILE", help="texts (kle1....) or files; otherwise lines of the standard input")
    epilog = f"{EXIT_CODES}. Vault is that of VAULT_ADDR."
    one = commands.add_parser("rewrap", help="bring a column under the newest version of its key", epilog=epilog)
    one.add_argument("--database", required=True, metavar="URL", help="as SQLAlchemy has them")
    one.add_argument("--table", required=True, help="or schema.table")
    one.add_argument("--column", required=True)
    one.add_argument("--id", default="id", help="a unique column to go along (id)")
    one.add_argument("--key", required=True)
    one.add_argument("--mount", default="keylife")
    one.add_argument("--context", action="append", metavar="NAME=VALUE", type=_pair, help="where it is not table and column")
    one.add_argument("--legacy", metavar="module:readers", default="", help="readers of what is not a message yet, or what gives them")
    add_arguments(one)
    return parser


def _pair(text: str) -> List[str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError("want NAME=VALUE")
    return [name, value]


def _inspect(messages: Sequence[str], out: TextIO) -> int:
    """Lines of the standard input are texts only: what else they may be has no place in an error."""
    wrong = 0
    for content in (_content(message) for message in messages) if messages else (line.strip() for line in sys.stdin):
        try:
            info = inspect(content)
        except InvalidMessage as error:
            wrong += 1
            out.write(f"{error}\n")
        else:
            out.write(f"{'stream' if info.stream else 'field'} {info.key or '-'} v{info.version}\n")
    return LEFT if wrong else DONE


def _content(message: str) -> Union[bytes, str]:
    """A text, or the beginning of what a file holds."""
    if message.startswith("kle1."):
        return message
    with open(message, "rb") as file:
        start = file.read(1 << 16)
        return (start + file.read()).decode("ascii", "replace").strip() if start.startswith(b"kle1.") else start


def _rewrap(options: argparse.Namespace, client: Callable[..., Client], out: TextIO) -> int:
    from sqlalchemy import create_engine
    from sqlalchemy.exc import SQLAlchemyError

    from ._rewrap_sql import SqlSource

    lazy = Lazy(lambda: client(mount=options.mount))
    where, legacy = f"{options.table}.{options.column}", readers(_legacy(options.legacy))
    cipher = ColumnCipher(where, lambda: lazy.key(options.key), _context(options), legacy)
    try:  # an error has no place for parameters, which are ciphertexts
        source = SqlSource(create_engine(options.database, hide_parameters=True), options.table, options.column, options.id)
    except (SQLAlchemyError, ImportError) as error:  # the URL, or its driver
        sys.stderr.write(f"--database: {error}\n")
        return FAILED
    return execute(source, cipher, vars(options), out, (SQLAlchemyError,))


def _context(options: argparse.Namespace) -> Dict[str, str]:
    if options.context:
        return {name: value for name, value in options.context}
    return {"table": options.table.rpartition(".")[2], "column": options.column}


def _legacy(path: str) -> Any:
    if not path:
        return ()
    module, _, name = path.partition(":")
    found = getattr(import_module(module), name)
    return found() if callable(found) else found


if __name__ == "__main__":
    sys.exit(main())
