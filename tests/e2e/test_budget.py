"""What ClickHouse has counted stops the next request: usage → billing → spend → ingress → 402."""

import hashlib
from pathlib import Path

import openai
import pytest

from tests.e2e.stack import Stack, eventually

pytestmark = pytest.mark.e2e


def test_a_spent_budget_is_refused_with_402(stack_dir: Path) -> None:
    stack_dir.mkdir()
    secret = "th_budget_test_key"
    # Given a key that may spend less than two answers cost,
    (stack_dir / "tenants.toml").write_text(
        f"""
[[projects]]
project_id = "p1"
organization_id = "o1"

[[api_keys]]
api_key_id = "k1"
project_id = "p1"
key_sha256 = "{hashlib.sha256(secret.encode()).hexdigest()}"
budget_usd = "0.000010"
"""
    )
    stack = Stack(stack_dir, ["--workers", "1"], {"TOLLHOUSE_TENANTS_FILE": str(stack_dir / "tenants.toml")})
    stack.up()
    try:
        client = openai.OpenAI(base_url=f"{stack.api_url}/v1", api_key=secret, max_retries=0)

        def refused() -> openai.APIStatusError | None:
            try:
                client.chat.completions.create(model="e2e-echo", messages=[{"role": "user", "content": "a b c"}])
            except openai.APIStatusError as error:
                return error
            return None

        # when it goes on asking, then it is refused once its spend has come round the ring.
        error = eventually("a refusal", refused)
        assert error.status_code == 402
        assert error.code == "api_key_budget_exceeded"
        # And nothing is called any more.
        calls = len(stack.ledger())
        assert refused() is not None
        assert len(stack.ledger()) == calls
    finally:
        stack.down()
