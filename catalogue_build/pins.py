"""The versions of the two price lists. Run as a program it helps `make lock` and `make catalogue`; stdlib only.

python -m catalogue_build.pins            # the pins, for pip download
python -m catalogue_build.pins WHEELS     # lock lines for the wheels in a directory
"""

import hashlib
import sys
from datetime import date
from pathlib import Path

# READ_ON changes together with the versions: each row says from which version its facts come and on which day they were
# taken, and that must not become the day of some later build from the same wheels.
READ_ON = date(2026, 11, 22)
GENAI_PRICES_VERSION = "0.2.3"
LITELLM_VERSION = "1.109.1"

PINS = (f"genai-prices=={GENAI_PRICES_VERSION}", f"litellm=={LITELLM_VERSION}")

GENAI_PRICES = f"genai-prices {GENAI_PRICES_VERSION}"
LITELLM = f"litellm {LITELLM_VERSION}"
PRICE_SOURCE = f"{GENAI_PRICES}, {READ_ON.isoformat()}"
FACTS_SOURCE = f"{LITELLM}, {READ_ON.isoformat()}"
BOTH_SOURCES = f"{GENAI_PRICES} and {LITELLM}, {READ_ON.isoformat()}"


def wheel_of(wheels: Path, pin: str) -> Path | None:
    name, _, version = pin.partition("==")
    found = sorted(wheels.glob(f"{name.replace('-', '_')}-{version}-*.whl"))
    return found[0] if found else None


def lock_lines(wheels: Path) -> str:
    """One hash per pin is enough: the wheels are read, never run, so every machine takes the same one."""
    lines = []
    for pin in PINS:
        wheel = wheel_of(wheels, pin)
        if wheel is None:
            raise FileNotFoundError(f"{wheels} has no wheel of {pin}")
        lines.append(f"{pin} \\\n    --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n")
    return "".join(lines)


if __name__ == "__main__":
    sys.stdout.write(lock_lines(Path(sys.argv[1])) if len(sys.argv) > 1 else " ".join(PINS) + "\n")
