"""The command line: parse, call, print. No science here, and nothing heavy before a command needs it."""

from __future__ import annotations

import sys
from typing import Any

from typer import Abort, BadParameter

from bandprobe.errors import BandprobeError

# Newer Typers carry a Click of their own: this is the base of usage errors in either case.
_UsageError: Any = next(base for base in BadParameter.__mro__ if base.__name__ == "ClickException")
_STOPPED = 130


def main() -> None:
    """Run the command line and exit with its code.

    0 done; 1 some images were left out; 2 wrong use or unusable input; 3 the disk or the network failed;
    130 stopped by Ctrl-C.
    """
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code; errors are one line on standard error."""
    from bandprobe.cli.app import app
    from bandprobe.cli.arguments import spread

    code: Any = 0
    try:
        code = app(spread(arguments), prog_name="bandprobe", standalone_mode=False)
        if code == _STOPPED:  # Typer's word for Ctrl-C
            raise KeyboardInterrupt
    except BandprobeError as error:
        code = _fail(str(error), error.exit_code)
    except _UsageError as error:
        code = _usage(error)
    except (KeyboardInterrupt, Abort):
        message = "stopped; what was finished is kept, and the same command goes on from there."
        code = _fail(message, _STOPPED)
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        sys.stderr.close()
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        code = _fail(f"{error.strerror or error}{where}.", 3)
    return code if isinstance(code, int) else 0


def _usage(error: Any) -> int:
    """A usage error in one line, or the help where nothing was asked."""
    if type(error).__name__ == "NoArgsIsHelpError":
        print(error.format_message())  # noqa: T201 - the command line speaks
        return 2
    context = getattr(error, "ctx", None)
    place = context.command_path if context else "bandprobe"
    return _fail(f"{error.format_message().rstrip('.')}. See `{place} --help`.", 2)


def _fail(message: str, code: int) -> int:
    print("error:", " ".join(message.split()), file=sys.stderr)  # noqa: T201 - the command line speaks
    return code
