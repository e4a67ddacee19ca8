"""Files that options name."""

from pathlib import Path

from hsproj_verify.target import TargetError


def demand_writable(option: str, path: Path, *suffixes: str) -> None:
    """Refuse, before the work is done, a path that an option names and that can't be written or ends in no such suffix."""
    if path.suffix not in suffixes:
        raise TargetError(f"{option}: its name must end in {' or '.join(suffixes)}; got {path}")
    new = not path.exists()
    try:
        path.open("ab").close()
        if new:
            path.unlink()
    except OSError as error:
        raise TargetError(f"{option}: can't write {path}: {error.strerror}") from error
