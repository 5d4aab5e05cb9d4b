"""Brings Apache Kafka's jars, once per machine, by Maven.

The folder of jars is named after the version and the pom's digest and appears by one rename, so that whoever
sees it sees all of it. Several runs may start side by side: one fetches under a lock, the others wait for it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import signal
import subprocess
import threading
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from deploy.local.kafka.errors import KafkaUnavailable

Progress = Callable[[str], None]

CACHE_DIR_VARIABLE = "TOLLHOUSE_CACHE_DIR"
OLDEST_JAVA = 17  # Kafka 4's broker
DOWNLOAD_LIMIT_S = 300.0
JAVA_ANSWER_LIMIT_S = 30.0

_POM = Path(__file__).with_name("pom.xml")
_POM_NAMESPACE = {"pom": "http://maven.apache.org/POM/4.0.0"}
_MAVEN_NOISE = ("re-run Maven", "Re-run Maven", "For more information about the errors", "[Help 1] http")
_FETCHED = re.compile(r"Downloaded from \S+: \S+/(?P<file>[^/\s]+\.jar) \((?P<size>[^)]*?)(?: at [^)]*)?\)")


@dataclass(frozen=True)
class KafkaInstall:
    """What it takes to run the server: a Java that is new enough, and a folder of jars."""

    java: Path
    jars_dir: Path
    version: str


def install(progress: Progress, environ: Mapping[str, str], download_limit_s: float = DOWNLOAD_LIMIT_S) -> KafkaInstall:
    """Find Java, and bring the jars unless they are in the cache already.

    The cache is `$TOLLHOUSE_CACHE_DIR`, or `~/.cache/tollhouse`. Raises `KafkaUnavailable`.
    """
    version = kafka_version()
    java = find_java(environ, version)
    pom_digest = hashlib.sha256(_POM.read_bytes()).hexdigest()[:8]
    jars_dir = _cache_dir(environ) / f"kafka-{version}-{pom_digest}"
    if not jars_dir.is_dir():
        try:
            _fetch_once(jars_dir, progress, environ, download_limit_s)
        except OSError as error:
            raise KafkaUnavailable(f"cannot keep Kafka's jars in {jars_dir.parent}: {error}") from error
    return KafkaInstall(java, jars_dir, version)


def kafka_version() -> str:
    """The version that pom.xml names."""
    found = ElementTree.parse(_POM).findtext("pom:properties/pom:kafka.version", namespaces=_POM_NAMESPACE)
    if not found:
        raise ValueError(f"{_POM.name} names no kafka.version")
    return found


def find_java(environ: Mapping[str, str], version: str) -> Path:
    """The `java` of JAVA_HOME, else of PATH, whichever is new enough first. Raises `KafkaUnavailable`."""
    candidates = []
    if environ.get("JAVA_HOME"):
        candidates.append(shutil.which("java", path=str(Path(environ["JAVA_HOME"]) / "bin")))
    candidates.append(shutil.which("java", path=environ.get("PATH", "")))
    refused = []
    for candidate in dict.fromkeys(filter(None, candidates)):
        release = _java_release(candidate, environ)
        if release is not None and release >= OLDEST_JAVA:
            return Path(candidate)
        refused.append(f"{candidate} " + ("does not run" if release is None else f"is Java {release}"))
    found = "; ".join(refused) or "there is no java in JAVA_HOME or PATH"
    raise KafkaUnavailable(f"Kafka {version} needs Java {OLDEST_JAVA} or newer: {found}")


def _java_release(java: str, environ: Mapping[str, str]) -> int | None:
    """17 for "17.0.15", 8 for "1.8.0_402"; None for what is no working Java (as macOS's placeholder)."""
    try:
        answer = subprocess.run(
            [java, "-version"],
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=JAVA_ANSWER_LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    said = re.search(r'version "(?:1\.)?(\d+)', answer.stderr + answer.stdout)
    return int(said[1]) if said and answer.returncode == 0 else None


def _cache_dir(environ: Mapping[str, str]) -> Path:
    chosen = environ.get(CACHE_DIR_VARIABLE)
    return Path(chosen) if chosen else Path.home() / ".cache" / "tollhouse"


def _fetch_once(jars_dir: Path, progress: Progress, environ: Mapping[str, str], download_limit_s: float) -> None:
    maven = shutil.which("mvn", path=environ.get("PATH", ""))
    if maven is None:
        raise KafkaUnavailable("Kafka's jars are brought by Maven, and there is no mvn in PATH")
    jars_dir.parent.mkdir(parents=True, exist_ok=True)
    with _only_one(jars_dir.with_name(f"{jars_dir.name}.lock"), progress, download_limit_s):
        if jars_dir.is_dir():
            return
        # Only the lock's holder touches this folder, so what is in it was left by a run that was killed.
        partial_dir = jars_dir.with_name(f"{jars_dir.name}.partial")
        shutil.rmtree(partial_dir, ignore_errors=True)
        progress(f"fetching Apache Kafka {kafka_version()} with Maven (about 45 MB, once)")
        _run_maven(maven, partial_dir, progress, environ, download_limit_s)
        if not any(partial_dir.glob("kafka_*.jar")):
            raise KafkaUnavailable("Maven ended well but brought no Kafka jar")
        partial_dir.rename(jars_dir)


@contextmanager
def _only_one(lock_path: Path, progress: Progress, wait_limit_s: float) -> Iterator[None]:
    """Hold the lock file. The kernel frees it when its holder dies, so a killed run blocks nobody."""
    deadline = time.monotonic() + wait_limit_s
    with lock_path.open("w") as lock:
        told = False
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    progress("another run is fetching Kafka's jars: waiting for it")
                    told = True
                if time.monotonic() > deadline:
                    raise KafkaUnavailable(
                        f"another run has been fetching Kafka's jars for over {wait_limit_s:.0f} s"
                    ) from None
                time.sleep(0.2)
        yield


def _run_maven(maven: str, into: Path, progress: Progress, environ: Mapping[str, str], limit_s: float) -> None:
    command = [maven, "-B", "-Dstyle.color=never", "-f", str(_POM)]
    # Not the short "dependency:": without a network Maven would complain of that name, not of the network.
    command += ["org.apache.maven.plugins:maven-dependency-plugin:copy-dependencies", f"-DoutputDirectory={into}"]
    try:
        maven_run = subprocess.Popen(
            command,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            # mvn is a shell script: only its whole group can be ended.
            start_new_session=True,
        )
    except OSError as error:
        raise KafkaUnavailable(f"Maven ({maven}) does not run: {error}") from error
    expired = threading.Event()

    def end_it() -> None:
        expired.set()
        _kill_group(maven_run)

    timer = threading.Timer(limit_s, end_it)
    timer.start()
    said: list[str] = []
    try:
        assert maven_run.stdout is not None
        for line in maven_run.stdout:
            said.append(line.strip())
            if fetched := _FETCHED.search(line):
                progress(f"fetched {fetched['file']} ({fetched['size'].strip()})")
        maven_run.wait()
    finally:
        timer.cancel()
        # Also on Ctrl-C: Maven has its own session and would go on writing into the folder.
        _kill_group(maven_run)
    if expired.is_set():
        raise KafkaUnavailable(f"Maven did not bring Kafka's jars within {limit_s:.0f} s")
    if maven_run.returncode != 0:
        raise KafkaUnavailable(f"Maven could not bring Kafka's jars: {_last_useful_line(said)}")


def _kill_group(process: subprocess.Popen[str]) -> None:
    # Even when mvn itself has ended: a child of it may live on and hold our pipe open.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _last_useful_line(said: list[str]) -> str:
    """Maven's last error that tells something: it ends with lines of general advice. One line at most 400 long."""
    errors = [line.removeprefix("[ERROR]").strip() for line in said if line.startswith("[ERROR]")]
    useful = [line for line in errors if line and not any(noise in line for noise in _MAVEN_NOISE)]
    line = (useful or [line for line in said if line] or ["it said nothing"])[-1]
    return line.removesuffix("-> [Help 1]").strip()[:400]
