"""What `--check` says of a machine, of files that have changed, and of answers that are not the known ones."""

import itertools
import shutil
from pathlib import Path
from typing import Any

import pytest

from playground import doctor, grammar
from playground.__main__ import check
from playground.checkpoints import hub
from playground.checkpoints.catalog import BUNDLED, resolve
from playground.errors import CheckpointUnavailable
from playground.predictor import Predictor
from playground.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "assets" / "examples" / "meadow.png"
OFFLINE = Settings(offline=True)


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    """A copy of the bundled checkpoint, of whose weights a byte is another one."""
    folder = Path(shutil.copytree(resolve(BUNDLED).source, tmp_path / "changed"))
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1000] ^= 1
    (folder / "model.safetensors").write_bytes(content)
    return folder


def test_all_is_well_here(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "find_local", lambda row: Path(row.source) if row.is_local else None)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert check(OFFLINE)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["ok", "ok", "ok", "ok", "ok", "-"]
    assert "transformers" in lines[0]
    assert "can be written" in lines[1]
    assert "transformers' own layout; as published, SHA-256" in lines[2]
    assert "CPU, float32" in lines[3]
    assert "found all 4 things" in lines[4]
    assert "hf download florence-community/Florence-2-base" in lines[5]


@pytest.mark.parametrize(
    ("folder", "variable"), [("uploads", "PLAYGROUND_CACHE_FOLDER"), ("checkpoints", "HF_HOME")], ids=str
)
def test_what_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, variable: str
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(hub, "cache_folder", lambda: tmp_path / "file" / "hub")
    findings = doctor.examine(Settings(cache_folder=str(tmp_path / "file" / "uploads")))
    found = {row.about: row for row in itertools.islice(findings, 3)}[f"folder for {folder}"]
    assert found.is_good is False
    assert found.said.startswith(
        f"{tmp_path / 'file'} cannot be written by this user (Not a directory); let {variable}"
    )


def test_changed_weights_are_told(changed: Path) -> None:
    findings = list(doctor.examine(Settings(offline=True, checkpoint=str(changed))))
    told = {finding.about: finding.said for finding in findings if finding.is_good is False}
    assert [*told] == ["files of changed", "the checkpoint loads"]
    assert all("model.safetensors has the SHA-256" in said for said in told.values())


def test_weights_without_a_known_sum_are_no_fault(changed: Path) -> None:
    (changed / "RECIPE.json").unlink()
    findings = list(doctor.examine(Settings(offline=True, checkpoint=str(changed))))
    assert not [finding for finding in findings if finding.is_good is False]
    assert "nothing to hold" in next(finding.said for finding in findings if finding.about == "files of changed")


def answers(predictor: Predictor, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]) -> list[doctor.Finding]:
    """Compare with an answer of the bundled checkpoint as if it were the published one, with some of it changed."""
    prediction = predictor.predict(PICTURE, "<OD>", decoding="careful")
    known = {
        "picture": "meadow.png",
        "resolution_wh": [720, 720],
        "task": "<OD>",
        "text": grammar.render(prediction.regions, "<OD>", prediction.resolution_wh),
    }
    published = {"checkpoint": BUNDLED, "dataset": "any/pictures", "answers": [known | changes]}
    monkeypatch.setattr(doctor, "_published", lambda: published)
    monkeypatch.setattr(hub, "find_picture", lambda *_, **__: PICTURE)
    return [finding for finding in doctor.examine(OFFLINE) if finding.about.startswith("published")]


@pytest.mark.parametrize(
    ("changes", "is_good", "said"),
    [
        pytest.param({}, True, "found the 4 published regions and no other", id="the same"),
        pytest.param({"text": "car<loc_1><loc_1><loc_9><loc_9>"}, False, "0 of the 1 known ones", id="other regions"),
        pytest.param({"resolution_wh": [1, 1]}, False, "it is another one", id="another picture"),
        pytest.param({"task": "<CAPTION>", "text": "A cow."}, False, "not 'A cow.'", id="another caption"),
    ],
)
def test_answers_are_held_against_the_published_ones(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], is_good: bool, said: str
) -> None:
    (finding,) = answers(predictor, monkeypatch, changes)
    assert finding.is_good is is_good
    assert said in finding.said


def test_what_does_not_load_is_told(changed: Path) -> None:
    (changed / "model.safetensors").write_bytes(b"cut short")
    findings = {row.about: row for row in doctor.examine(Settings(offline=True, checkpoint=str(changed)))}
    assert findings["the checkpoint loads"].is_good is False
    assert "changed, damaged or cut short" in findings["the checkpoint loads"].said
    assert findings["a run"].is_good


def test_microsofts_own_files_are_held_against_the_same_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "find_local", lambda row: Path(row.source) if row.is_local else None)
    findings = {
        row.about: row for row in doctor.examine(Settings(offline=True, checkpoint="microsoft/Florence-2-base"))
    }
    assert "hf download microsoft/Florence-2-base" in findings["published answers (Microsoft's)"].said


def test_what_is_not_here_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "find_local", lambda row: Path(row.source) if row.is_local else None)
    findings = {row.about: row for row in doctor.examine(Settings(offline=True, checkpoint="florence-2-large"))}
    assert findings["the checkpoint loads"].is_good is None
    assert "`hf download florence-community/Florence-2-large` fetches it" in findings["the checkpoint loads"].said


def test_a_picture_that_cannot_be_had_is_no_fault(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(predictor, monkeypatch, {})

    def fail(*_: Any, **__: Any) -> Path:
        raise CheckpointUnavailable("meadow.png of any/pictures could not be fetched (no network).")

    monkeypatch.setattr(hub, "find_picture", fail)
    *_, finding = doctor.examine(OFFLINE)
    assert (finding.is_good, "no network" in finding.said) == (None, True)


def test_a_picture_is_not_fetched_offline() -> None:
    with pytest.raises(CheckpointUnavailable, match="could not be fetched"):
        hub.find_picture("huggingface/documentation-images", "transformers/tasks/car.jpg", offline=True)


def test_the_published_answers_are_answers() -> None:
    published = doctor._published()
    resolve(published["checkpoint"])
    numbers = [len(grammar.parse(row["text"], row["task"], (640, 480)).regions) for row in published["answers"]]
    assert numbers == [4, 10, 0, 0]
