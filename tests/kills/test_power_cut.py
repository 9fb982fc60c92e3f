"""The power is cut while batches are written: what was acknowledged is there, and the work goes on behind it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import powerlab

pytestmark = pytest.mark.timeout(400)


def test_no_acknowledged_batch_is_lost_and_no_checkpoint_is_ahead(tmp_path: Path) -> None:
    cuts, blind = powerlab.cut_often(tmp_path, moments=3, seeds=1)
    for cut in cuts:
        assert "error" not in cut, cut["error"]
        assert cut["touched"], "nothing was unsynced: the test proved nothing"
        assert cut["whole"] >= cut["acknowledged"], cut
        assert cut["partial"] == {}, cut
        assert cut["acknowledged"] <= cut["after"] <= cut["whole"], cut
        assert cut["goes_on"], cut
    assert "error" in blind or blind["whole"] < blind["acknowledged"], "a disk that forgets everything lost nothing"
