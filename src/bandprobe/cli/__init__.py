"""The command line: parse, call, print. No science here, and nothing heavy before a command needs it."""

from __future__ import annotations

import sys
from typing import Any

from typer import Abort, BadParameter

from bandprobe.errors import BandprobeError

# Newer Typers carry a Click of their own: this is the base of usage errors in either case.
_UsageError: Any = next(base for base in BadParameter.__mro__ if base.__name__ == "ClickException")


def main() -> None:
    """Run the command line and exit with its code.

    0 done; 1 some images were left out; 2 wrong use or unusable input; 3 the disk or the network failed;
    130 stopped by Ctrl-C.
    """
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code; errors are one line on standard error."""
    from bandprobe.cli.app import app

    try:
        code = app(arguments, prog_name="bandprobe", standalone_mode=False)
    except BandprobeError as error:
        return _fail(str(error), error.exit_code)
    except _UsageError as error:
        hint = f" See `bandprobe {arguments[0]} --help`." if arguments and arguments[0][:1].isalpha() else ""
        return _fail(error.format_message() + hint, 2)
    except (KeyboardInterrupt, Abort):
        return _fail("stopped; what was finished is kept, and the same command goes on from there.", 130)
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        sys.stderr.close()
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        return _fail(f"{error.strerror or error}{where}.", 3)
    else:
        return code if isinstance(code, int) else 0
    return 0


def _fail(message: str, code: int) -> int:
    print("error:", " ".join(message.split()), file=sys.stderr)  # noqa: T201 - the command line speaks
    return code
