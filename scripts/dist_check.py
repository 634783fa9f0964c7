"""See that what would be published works for whoever installs it: `make dist-check`.

Builds the sdist and the wheel with the pinned build backend, looks into both, builds the wheel again from the sdist,
installs the wheel into an environment of its own with nothing but its declared base dependencies (at the versions of
the lock file), and uses it there, in an empty folder, up to the demo.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NEEDED = ("py.typed", "embedded/manifest.json")  # besides what the repository tracks below src/
SUFFIXES = (".j2", ".js", ".css", ".safetensors", ".parquet", ".json")  # some of each must have come along
PYTHON = sys.executable
# A small study of what ships, where the whole demo would take too long.
SMALL = """
import bandprobe as bp
world = bp.datasets.micro()
run = bp.Study.from_dict({
    "data": {"root": str(world.root), "near_duplicates": False}, "families": world.families,
    "encoders": {"names": ["spectral", "micro-dino"], "geometry": "squash:64"},
    "filters": {"test": ["none", "lowpass:7px"]},
    "probes": {"seeds": 1, "train_on": ["all"]},
    "analysis": {"twin": False, "bands": False, "claims": False, "mmd": False, "entropy": False},
}, "small").run("small")
print(run.report)
"""


def main() -> None:
    """Check everything; the first thing that is wrong ends it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--demo", choices=("whole", "small"), default="whole", help="what is run from the wheel"
    )
    parser.add_argument("--build-only", action="store_true", help="install nothing")
    parser.add_argument("--keep", type=Path, help="where wheel and sdist are to stay, e.g. dist")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dist-check-") as temporary:
        place = Path(temporary)
        with step("build sdist and wheel"):
            wheel, sdist = build(ROOT, place / "dist")
        with step("look into the wheel"):
            check_wheel(wheel)
        with step("look into the sdist, and build the wheel from it"):
            check_sdist(sdist, wheel, place)
        if asked.keep:
            asked.keep.mkdir(parents=True, exist_ok=True)
            for file in (wheel, sdist):
                (asked.keep / file.name).write_bytes(file.read_bytes())
        if not asked.build_only:
            with step("install the wheel with its base dependencies alone"):
                tool = install(wheel, place)
            with step("import every module"):
                check_imports(tool)
            with step(f"use it, up to the {asked.demo} demo"):
                use(tool, place, asked.demo)
    say("all is well")


def build(source: Path, out: Path, *targets: str) -> tuple[Path, Path]:
    """The wheel and the sdist of a source tree, built without isolation, so without any network."""
    wanted = targets or ("sdist", "wheel")
    flags = [word for target in wanted for word in ("--target", target)]
    call(PYTHON, "-m", "hatchling", "build", "--directory", str(out), *flags, cwd=source)
    wheels, sdists = list(out.glob("*.whl")), list(out.glob("*.tar.gz"))
    expect(
        len(wheels) == ("wheel" in wanted) and len(sdists) == ("sdist" in wanted), f"one file each in {out}"
    )
    return wheels[0], sdists[0] if sdists else wheels[0]


def tracked(*folders: str) -> set[str]:
    """The files that the repository holds; of a tree without one, all that are no by-products."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", *folders],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listed.returncode == 0 and listed.stdout:
        return {name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()}
    files = (file for folder in folders for file in (ROOT / folder).rglob("*") if file.is_file())
    return {str(file.relative_to(ROOT)) for file in files if "__pycache__" not in file.parts}


def check_wheel(wheel: Path) -> None:
    """The package, all of it and nothing else; and what an index shows of it."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        [about] = [name for name in names if name.endswith(".dist-info/METADATA")]
        metadata = Parser().parsestr(archive.read(about).decode())
        entry_points = archive.read(about.replace("METADATA", "entry_points.txt")).decode()
    inside = {name for name in names if ".dist-info/" not in name}
    wanted = {name.removeprefix("src/") for name in tracked("src")}
    expect(
        inside == wanted,
        f"the wheel lacks {sorted(wanted - inside)[:5]}, and has {sorted(inside - wanted)[:5]}",
    )
    for name in NEEDED:
        expect(f"bandprobe/{name}" in inside, f"the wheel holds {name}")
    for suffix in SUFFIXES:
        expect(any(name.endswith(suffix) for name in inside), f"the wheel holds files *{suffix}")
    expect(any("licenses/LICENSE" in name for name in names), "the wheel holds the licence")
    expect("bandprobe = bandprobe.cli:main" in entry_points, "the wheel has the command")
    version = re.search(r'= "(.+)"', (ROOT / "src/bandprobe/_version.py").read_text())
    expect(
        version is not None and metadata["Version"] == version[1], "the wheel's version is that of the code"
    )
    expect(metadata["Description-Content-Type"] == "text/markdown", "the description is Markdown")
    expect(metadata["License-Expression"] == "Apache-2.0", "the licence is an SPDX expression")
    expect(len(metadata["Summary"]) <= 512 and "\n" not in metadata["Summary"], "the summary is one line")
    body = str(metadata.get_payload())
    expect(
        body.count("```") % 2 == 0 and body.startswith("# bandprobe"), "the description is the README, whole"
    )
    for field in ("Requires-Python", "Author", "Keywords", "Classifier", "Provides-Extra"):
        expect(bool(metadata[field]), f"the metadata say {field}")


def check_sdist(sdist: Path, wheel: Path, place: Path) -> None:
    """What one needs to build and test; the wheel built from it is the same."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
        archive.extractall(place / "sdist", filter="data")
    wanted = {name for name in tracked("src", "tests") if not name.endswith(".pyc")}
    expect(wanted <= names, f"the sdist lacks {sorted(wanted - names)[:5]}")
    for name in ("README.md", "LICENSE", "CHANGELOG.md", "pyproject.toml", "Makefile", "requirements.lock"):
        expect(name in names, f"the sdist holds {name}")
    own = sorted(
        name for name in names if name.startswith((".venv", "runs/", "zoo/work")) or "__pycache__" in name
    )
    expect(not own, f"the sdist holds by-products: {own[:5]}")
    [source] = (place / "sdist").iterdir()
    again, _ = build(source, place / "again", "wheel")
    expect(_contents(again) == _contents(wheel), "the sdist builds the same wheel")


def _contents(wheel: Path) -> dict[str, str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()}


def install(wheel: Path, place: Path) -> Path:
    """An environment with the wheel and what it says it needs; the folder of its commands."""
    call(PYTHON, "-m", "venv", str(place / "venv"))
    tool = place / "venv" / ("Scripts" if os.name == "nt" else "bin")
    constraints = place / "constraints.txt"
    pins = (ROOT / "requirements.lock").read_text().splitlines()
    constraints.write_text(
        "\n".join(re.sub(r"\[[^]]*\]", "", pin) for pin in pins)
    )  # pip takes no extras here
    pip = [str(tool / "python"), "-m", "pip", "--disable-pip-version-check"]
    call(*pip, "install", "--quiet", "--constraint", str(constraints), str(wheel))
    call(*pip, "check")
    return tool


def check_imports(tool: Path) -> None:
    """Every module can be imported, or names the extra that it belongs to."""
    script = (
        "import importlib, pkgutil, bandprobe\n"
        "lacking = []\n"
        "for found in pkgutil.walk_packages(bandprobe.__path__, 'bandprobe.'):\n"
        "    try:\n"
        "        importlib.import_module(found.name)\n"
        "    except Exception as error:\n"
        "        if 'pip install \"bandprobe[' not in str(error):\n"
        "            lacking.append(f'{found.name}: {error}')\n"
        "raise SystemExit('; '.join(lacking) or 0)\n"
    )
    call(str(tool / "python"), "-c", script)


def use(tool: Path, place: Path, demo: str) -> None:
    """Every command's help, the lists, and a study, as a newcomer would: in an empty folder."""
    folder = place / "empty"
    folder.mkdir()
    command = str(tool / "bandprobe")
    expect(
        call(command, "--version", cwd=folder).strip() in str(place.glob("dist/*.whl").__next__()),
        "the version",
    )
    listed = re.findall(r"^  ([a-z-]+)  ", call(command, "--help", cwd=folder), re.MULTILINE)
    expect({"demo", "study", "embed", "score"} <= set(listed), "the commands are listed")
    for name in listed:
        call(command, name, "--help", cwd=folder)
    expect("micro-dino" in call(command, "encoders", cwd=folder), "encoders are listed")
    expect("lowpass" in call(command, "filters", cwd=folder), "filters are listed")
    if demo == "whole":
        printed = call(command, "demo", "--out", "demo", cwd=folder)
    else:
        printed = call(str(tool / "python"), "-c", SMALL, cwd=folder)
    report = folder / printed.strip().splitlines()[-1]
    expect(report.stat().st_size > 50_000, f"{report} is a report")
    expect("<html" in report.read_text(encoding="utf-8")[:2000], f"{report} is a page")


def call(*words: str, cwd: Path = ROOT) -> str:
    """Run a command with nothing of this environment's packages in its way; its output."""
    lost = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    environment = {name: value for name, value in os.environ.items() if name not in lost}
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        fail(
            f"{' '.join(words)[:200]}: exit code {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    return done.stdout


@contextlib.contextmanager
def step(what: str) -> Iterator[None]:
    """Say what is checked, and how long it took."""
    start = time.perf_counter()
    yield
    say(f"{time.perf_counter() - start:6.1f} s  {what}")


def expect(holds: bool, what: str) -> None:
    """End where something does not hold."""
    if not holds:
        fail(f"not so: {what}")


def say(words: str) -> None:
    """One line to standard output, at once."""
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


def fail(words: str) -> None:
    """End with what is wrong."""
    raise SystemExit(f"dist-check: {words}")


if __name__ == "__main__":
    main()
