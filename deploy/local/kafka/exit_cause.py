"""How a process ended, in the words that a person looks up."""

import signal


def exit_cause(code: int) -> str:
    """`code` as in `Popen.returncode`, where a signal is negative: "SIGKILL", "exit code 2"."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
