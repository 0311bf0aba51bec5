"""`make test-bounds`: the oldest and the newest dependencies that pyproject.toml allows do work.

On the oldest supported Python that is found, each direct dependency in its lowest version; on the
newest, everything in its highest. `--all` tries both on every Python that is found. Each pair is a
virtual environment with the package's wheel, in which `tests/bounds_check.py` and the demo run.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).parents[1]
VERSIONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
EXTRAS = ("local", "topics", "topics-ros", "topics-px4")
LOWEST, HIGHEST = "lowest-direct", "highest"
_VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"


def main() -> None:
    """Try the pairs; the exit status is 1 if one of them fails."""
    pythons = find_pythons()
    versions = [version for version in VERSIONS if version in pythons]
    pairs = [(versions[0], LOWEST), (versions[-1], HIGHEST)]
    if "--all" in sys.argv[1:]:
        pairs = [(version, end) for version in versions for end in (LOWEST, HIGHEST)]
    with tempfile.TemporaryDirectory() as folder:
        wheel = build_wheel(pathlib.Path(folder))
        passed = [
            passes(pythons[version], end, wheel, pathlib.Path(folder, f"{version}-{end}"))
            for version, end in pairs
        ]
    sys.exit(not all(passed))


def find_pythons() -> dict[str, pathlib.Path]:
    """Return an interpreter of each supported version that is here: this one, those on the PATH and pyenv's."""
    found: dict[str, pathlib.Path] = {}
    pyenv = pathlib.Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    folders = [pathlib.Path(name) for name in os.environ.get("PATH", "").split(os.pathsep)]
    candidates = [pathlib.Path(sys.executable)]
    for version in VERSIONS:
        candidates += [folder / f"python{version}" for folder in folders]
        candidates += [path / "bin" / "python" for path in sorted(pyenv.glob(f"{version}.*"))]
    for path in filter(pathlib.Path.is_file, candidates):
        done = subprocess.run([path, "-c", _VERSION], capture_output=True, text=True, check=False)
        found.setdefault(
            done.stdout.strip(), path
        )  # a shim without a Python behind it prints nothing
    return found


def build_wheel(folder: pathlib.Path) -> pathlib.Path:
    """Build the working tree's wheel into a folder; return its path."""
    uv("build", "--wheel", "--quiet", "--out-dir", folder, ROOT)
    return next(folder.glob("*.whl"))


def passes(python: pathlib.Path, end: str, wheel: pathlib.Path, folder: pathlib.Path) -> bool:
    """Install one end of the ranges and try it; return whether it works.

    Args:
        python: The interpreter.
        end: uv's resolution: `lowest-direct` or `highest`.
        wheel: The package.
        folder: Where to work; made by this.
    """
    started = time.monotonic()
    uv("venv", "--quiet", "--python", python, folder / "venv")
    binary = folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    install = ("pip", "install", "--quiet", "--python", binary)
    extras = [each for name in EXTRAS for each in ("--extra", name)]
    # So that they count as direct.
    ranges: tuple[str | pathlib.Path, ...] = ("-r", ROOT / "pyproject.toml", *extras)
    uv(*install, "--resolution", end, "--only-binary", ":all:", *ranges)
    uv(*install, "--no-deps", wheel)
    done = try_out(binary, folder)
    verdict = "works" if done.returncode == 0 else f"FAILED:\n{done.stdout}{done.stderr}"
    sys.stdout.write(f"{python}, {end}, {time.monotonic() - started:.0f} s: {verdict}\n")
    sys.stdout.flush()
    return done.returncode == 0


def try_out(binary: pathlib.Path, folder: pathlib.Path) -> "subprocess.CompletedProcess[str]":
    """Run the check, then the demo, away from the working tree."""
    private = ("AWS_", "ROBOTO_", "DAGSTER_", "PYTHON")
    environment = {name: one for name, one in os.environ.items() if not name.startswith(private)}
    environment |= {"ROBOTO_DEMO_FOLDER": str(folder / "demo"), "DAGSTER_HOME": str(folder)}
    (folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    done = subprocess.CompletedProcess[str]([], 0)
    for script in ("tests/bounds_check.py", "examples/demo.py"):
        done = subprocess.run(
            [binary, "-W", "ignore", ROOT / script],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            break
    return done


def uv(*arguments: str | pathlib.Path) -> None:
    """Run one of uv's commands."""
    subprocess.run([sys.executable, "-m", "uv", *arguments], check=True)


if __name__ == "__main__":
    main()
