"""The description and the service agree, whatever is sent: schemathesis reads the one and attacks the other."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import pytest

from gateway.auth import issue
from tests.gateway.conftest import SECRET, Make
from tests.gateway.served import served

LEFT_OUT = (
    "negative_data_rejection",  # unknown fields, cookies and headers are ignored on purpose: a newer page may send them
    "use_after_free",  # nothing is created or deleted over HTTP
    "ensure_resource_availability",
    "object_level_authorization",
)


@pytest.mark.timeout(180)
async def test_no_5xx_and_nothing_undocumented(
    make_parts: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.positions.SECONDS", 0.02)  # invented positions are waited for in vain
    parts = await make_parts(rate_user="0")
    token = issue(SECRET, 7, 600, parts.clock.now_ms())
    async with served(parts) as url:
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("st")), "run", url + "/openapi.json",
            "--header", f"Authorization: Bearer {token}", "--phases", "coverage,fuzzing", "--max-examples", "20",
            "--checks", "all", "--exclude-checks", ",".join(LEFT_OUT), "--suppress-health-check", "all",
            "--generation-deterministic", "--no-color", "--warnings", "off",
            cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        output, _ = await process.communicate()
    text = output.decode(errors="replace")
    assert process.returncode == 0, text
    counts = re.search(r"Selected: (\d+)/(\d+)\s+Tested: (\d+)", text)
    assert counts is not None, text
    assert len(set(counts.groups())) == 1, text  # nothing was left out
    assert int(counts[1]) >= 18
