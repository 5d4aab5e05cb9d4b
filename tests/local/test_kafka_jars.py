"""How the jars are brought, and how it ends where they cannot be: with scripts in place of Java and Maven."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deploy.local.kafka.errors import KafkaUnavailable
from deploy.local.kafka.jars import CACHE_DIR_VARIABLE, KafkaInstall, install, kafka_version

GOOD_JAVA = """echo 'openjdk version "21.0.4" 2024-07-16' >&2"""
# Leaves one jar where the real one leaves forty, and a line for each time it was called.
GOOD_MAVEN = """
echo called >> "$(dirname "$0")/calls"
for argument in "$@"; do case "$argument" in -DoutputDirectory=*) into="${argument#*=}";; esac; done
mkdir -p "$into"
echo 'Downloaded from central: scheme://host/org/apache/kafka/kafka_2.13/9/kafka_2.13-9.jar (1.3 MB at 5.0 MB/s)'
sleep 0.3
echo jar > "$into/kafka_2.13-9.jar"
"""


class Machine:
    """A PATH and a cache of its own."""

    def __init__(self, folder: Path) -> None:
        self.bin_dir = folder / "bin"
        self.bin_dir.mkdir()
        self.cache_dir = folder / "cache"
        self.said: list[str] = []

    def add(self, program: str, script: str) -> None:
        path = self.bin_dir / program
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def install(self, limit_s: float = 30.0, system_path: str = "") -> KafkaInstall:
        path = f"{self.bin_dir}{os.pathsep}{system_path}" if system_path else str(self.bin_dir)
        return install(self.said.append, {"PATH": path, CACHE_DIR_VARIABLE: str(self.cache_dir)}, limit_s)

    def refusal(self, limit_s: float = 30.0, system_path: str = "") -> str:
        with pytest.raises(KafkaUnavailable) as raised:
            self.install(limit_s, system_path)
        assert "\n" not in raised.value.reason
        return raised.value.reason

    def visible_installs(self) -> list[str]:
        return [path.name for path in self.cache_dir.glob("kafka-*") if path.suffix not in (".lock", ".partial")]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_without_java_it_says_so(machine: Machine) -> None:
    assert "there is no java" in machine.refusal()


@pytest.mark.parametrize(("banner", "release"), [("11.0.2", 11), ("1.8.0_402", 8), ("16-ea", 16)])
def test_an_old_java_is_named_with_its_release(machine: Machine, banner: str, release: int) -> None:
    machine.add("java", f"""echo 'openjdk version "{banner}"' >&2""")
    assert f"is Java {release}" in machine.refusal()
    assert "needs Java 17" in machine.refusal()


def test_a_java_that_only_pretends_is_no_java(machine: Machine) -> None:
    machine.add("java", "echo 'Unable to locate a Java Runtime.' >&2; exit 1")
    assert "does not run" in machine.refusal()


def test_the_java_of_java_home_goes_first_and_the_one_in_path_is_the_second_choice(machine: Machine) -> None:
    machine.add("java", GOOD_JAVA)
    old_home = machine.bin_dir.parent / "old"
    (old_home / "bin").mkdir(parents=True)
    old = old_home / "bin" / "java"
    old.write_text("""#!/bin/sh\necho 'openjdk version "1.8.0_1"' >&2\n""")
    old.chmod(0o755)
    machine.add("mvn", GOOD_MAVEN)
    environ = {"PATH": f"{machine.bin_dir}:/usr/bin:/bin", "JAVA_HOME": str(old_home)}
    environ[CACHE_DIR_VARIABLE] = str(machine.cache_dir)
    assert install(machine.said.append, environ).java == machine.bin_dir / "java"


def test_without_maven_it_says_so(machine: Machine) -> None:
    machine.add("java", GOOD_JAVA)
    assert "no mvn in PATH" in machine.refusal()


def test_mavens_last_useful_line_is_the_reason(machine: Machine) -> None:
    machine.add("java", GOOD_JAVA)
    machine.add(
        "mvn",
        """
echo '[INFO] Scanning for projects...'
echo '[ERROR] Failed to execute goal: Could not transfer artifact: Unknown host -> [Help 1]'
echo '[ERROR] '
echo '[ERROR] To see the full stack trace of the errors, re-run Maven with the -e switch.'
echo '[ERROR] For more information about the errors and possible solutions, please read:'
echo '[ERROR] [Help 1] http://some.where/'
exit 1""",
    )
    reason = machine.refusal()
    assert reason.endswith("Failed to execute goal: Could not transfer artifact: Unknown host")
    assert machine.visible_installs() == []


def test_a_maven_that_breaks_without_a_word_of_error_is_quoted_too(machine: Machine) -> None:
    machine.add("java", GOOD_JAVA)
    machine.add("mvn", "echo 'no space left on device' >&2; exit 2")
    assert "no space left on device" in machine.refusal()


def ends(pid: int, within_s: float) -> bool:
    """Killed is not yet gone: the kernel may take a moment, and whoever inherits it may be slow to bury it."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.01)
    return False


def test_a_download_over_its_limit_is_ended_with_all_its_children(machine: Machine) -> None:
    machine.add("java", GOOD_JAVA)
    # The child keeps Maven's output open: were it not ended too, the reader would wait for its minute.
    machine.add("mvn", 'sleep 61 & echo $! > "$(dirname "$0")/child"; wait')
    assert "within 1 s" in machine.refusal(limit_s=1.0, system_path="/usr/bin:/bin")
    child = int((machine.bin_dir / "child").read_text())
    assert ends(child, within_s=5), "Maven's child still runs"
    assert machine.visible_installs() == []


def test_a_maven_that_brings_nothing_is_no_success(machine: Machine) -> None:
    machine.add("java", GOOD_JAVA)
    machine.add("mvn", "exit 0")
    assert "brought no Kafka jar" in machine.refusal()
    assert machine.visible_installs() == []


def test_a_cache_that_cannot_be_written_is_a_reason_not_a_traceback(machine: Machine) -> None:
    machine.add("java", GOOD_JAVA)
    machine.add("mvn", GOOD_MAVEN)
    machine.cache_dir.write_text("a file where the folder should be")
    assert str(machine.cache_dir) in machine.refusal()


def test_runs_side_by_side_fetch_once_and_get_the_same_jars(machine: Machine) -> None:
    machine.add("java", GOOD_JAVA)
    machine.add("mvn", GOOD_MAVEN)
    with ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(machine.install, system_path="/usr/bin:/bin") for _ in range(4)]
        installs = {run.result() for run in runs}
    assert len(installs) == 1
    assert (machine.bin_dir / "calls").read_text().splitlines() == ["called"]
    assert "fetched kafka_2.13-9.jar (1.3 MB)" in machine.said
    assert "another run is fetching Kafka's jars: waiting for it" in machine.said


def test_what_a_killed_run_left_behind_is_not_taken_for_jars(machine: Machine) -> None:
    machine.add("java", GOOD_JAVA)
    machine.add("mvn", GOOD_MAVEN)
    whole = machine.install(system_path="/usr/bin:/bin").jars_dir
    partial = whole.rename(whole.with_name(f"{whole.name}.partial"))
    (partial / "half-a.jar").write_text("PK")
    again = machine.install(system_path="/usr/bin:/bin")
    assert again.jars_dir == whole
    assert [path.name for path in whole.iterdir()] == ["kafka_2.13-9.jar"]
    assert again.version == kafka_version()
