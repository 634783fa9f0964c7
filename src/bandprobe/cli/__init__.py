"""The command line: parse, call, print. No science here, and nothing heavy before a command needs it."""

from __future__ import annotations

import os
import re
import sys
import threading
from typing import Any

from typer import Abort, BadParameter

from bandprobe.cli.interrupt import done, interrupted, leave, watch
from bandprobe.errors import BandprobeError, did_you_mean
from bandprobe.machine import out_of_memory
from bandprobe.progress import coloured

# Newer Typers carry a Click of their own: this is the base of usage errors in either case.
_UsageError: Any = next(base for base in BadParameter.__mro__ if base.__name__ == "ClickException")
_STOPPED = 130
_QUOTED = re.compile("'([^']*)'")
_said = threading.Event()


def main() -> None:
    """Run the command line and exit with its code.

    0 done; 1 some images were left out; 2 wrong use or unusable input; 3 the disk or the network failed;
    130 stopped by Ctrl-C.
    """
    # Arrow's own allocator keeps what it once held: tens of MB more at the end of a large study.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    watch(_stop)
    if (
        sys.stdout is not None and sys.stdout.errors == "strict"
    ):  # a file's name may be no text of this terminal
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    code = run(sys.argv[1:])
    if code == _STOPPED:
        leave(code)
    done()
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code; errors are one line on standard error."""
    _said.clear()
    code: Any = 0
    try:
        from bandprobe.cli.app import app
        from bandprobe.cli.arguments import spread

        code = app(spread(arguments), prog_name="bandprobe", standalone_mode=False)
        if code == _STOPPED:  # Typer's word for Ctrl-C
            raise KeyboardInterrupt
    except BandprobeError as error:
        code = _fail(str(error), error.exit_code)
    except _UsageError as error:
        code = _usage(error)
    except (KeyboardInterrupt, Abort):
        code = _stop()
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        sys.stderr.close()
    except SystemExit as ended:  # of completion, or Typer's word for a reader that has gone: no failure
        code = 0 if type(sys.stdout).__name__ == "PacifyFlushWrapper" else ended.code
    except Exception as error:
        if interrupted():  # a library's own word for Ctrl-C, or for what it did to its workers
            code = _stop()
        elif isinstance(error, OSError):
            where = f" ({error.filename})" if error.filename else ""
            code = _fail(f"{error.strerror or error}{where}.", 3)
        elif out_of_memory(error):
            words = " ".join(str(error).split())[:120] or "MemoryError"
            code = _fail(f"not enough memory ({words}); try a smaller --batch-size or another --device.", 2)
        else:
            raise
    return code if isinstance(code, int) else 0


def _usage(error: Any) -> int:
    """A usage error in one line, or the help where nothing was asked."""
    if type(error).__name__ == "NoArgsIsHelpError":
        print(error.format_message())  # noqa: T201 - the command line speaks
        return 2
    context = getattr(error, "ctx", None)
    place = context.command_path if context else "bandprobe"
    if type(error).__name__ == "NoSuchOption" and context:
        every = [name for p in context.command.get_params(context) for name in p.opts + p.secondary_opts]
        known = [name for name in every if name.startswith("--")]
        message = f"unknown option {error.option_name!r}.{did_you_mean(error.option_name, known)}"
    else:
        message = error.format_message().replace("Value error, ", "").strip()
        if choice := re.search(r"'([^']*)' is not one of (.+)", message):
            message = f"{message.rstrip('.')}.{did_you_mean(choice[1], _QUOTED.findall(choice[2]))}"
    return _fail(f"{message}{'' if message.endswith(('.', '?')) else '.'} See `{place} --help`.", 2)


def _stop() -> int:
    """Say, once, that the command was stopped; the exit code that says so."""
    if not _said.is_set():
        _said.set()
        _fail("stopped; what was finished is kept, and the same command goes on from there.", _STOPPED)
    return _STOPPED


def _fail(message: str, code: int) -> int:
    if sys.stderr is not None:  # closed by whoever started the command
        word = "\x1b[31merror:\x1b[0m" if coloured(sys.stderr) else "error:"
        print(word, " ".join(message.split()), file=sys.stderr)  # noqa: T201 - the command line speaks
    return code
