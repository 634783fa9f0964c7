"""Fuzz one parser guided by coverage, with atheris: `python tests/fuzz/coverage_guided.py PARSER [SECONDS]`.

Needs the package atheris, which the tests do not. Inputs that break a parser are kept in `tests/fuzz/found/PARSER`,
where the tests take them up.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from pathlib import Path

import atheris

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

with atheris.instrument_imports(include=["bandprobe", "PIL"]):
    import parsers


def main() -> None:
    """Run until the time is over or a parser breaks."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in parsers.PARSERS:
        sys.exit(f"name a parser: {', '.join(parsers.PARSERS)}.")
    seconds = int(sys.argv[2]) if len(sys.argv) > 2 else 60
    parser = parsers.PARSERS[name]

    def one(data: bytes) -> None:
        try:
            parsers.check(parser, data)
        except Exception:
            folder = HERE / "found" / name
            folder.mkdir(parents=True, exist_ok=True)
            (folder / hashlib.sha256(data).hexdigest()[:12]).write_bytes(data)
            raise

    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(parsers.seeds()[name]):
            (Path(corpus) / str(number)).write_bytes(seed)
        limits = [f"-max_total_time={seconds}", "-timeout=20", "-rss_limit_mb=4096", "-max_len=20000"]
        atheris.Setup([sys.argv[0], *limits, f"-artifact_prefix={corpus}/", corpus], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
