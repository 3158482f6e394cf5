from pathlib import Path

from lambent_gateway.environments.runtime_folder import fill, libraries


def make(folder: Path) -> list[Path]:
    (folder / "package").mkdir(parents=True)
    (folder / "package" / "module.py").write_text("x = 1")
    (folder / "single.py").write_text("y = 2")
    return [folder / "package", folder / "single.py"]


def test_everything_is_a_link_where_links_lead_somewhere(tmp_path: Path) -> None:
    contents = make(tmp_path / "source")
    fill(tmp_path / "seen", contents, hidden=None)
    assert {entry.name: entry.readlink() for entry in (tmp_path / "seen").iterdir()} == {
        path.name: path for path in contents
    }


def test_what_will_be_hidden_is_there_itself(tmp_path: Path) -> None:
    fill(tmp_path / "seen", make(tmp_path / "source"), hidden=tmp_path)
    assert not any(entry.is_symlink() for entry in (tmp_path / "seen").iterdir())
    assert (tmp_path / "seen" / "package" / "module.py").read_text() == "x = 1"
    assert (tmp_path / "seen" / "single.py").samefile(tmp_path / "source" / "single.py")


def test_filling_again_follows_changes_and_removes_what_is_no_longer_wanted(tmp_path: Path) -> None:
    contents = make(tmp_path / "source")
    for hidden in (tmp_path, None, tmp_path):
        fill(tmp_path / "seen", contents, hidden=hidden)
        assert (tmp_path / "seen" / "package").is_symlink() == (hidden is None)
    other = tmp_path / "other.py"
    other.write_text("z = 3")
    fill(tmp_path / "seen", [other], hidden=None)
    assert [entry.name for entry in (tmp_path / "seen").iterdir()] == ["other.py"]


def test_functions_get_boto3_and_nothing_that_lambent_is_made_of() -> None:
    names = {path.name for path in libraries()}
    assert {"boto3", "botocore", "urllib3"} <= names
    assert not names & {"fastapi", "uvicorn", "lambent_gateway", "sqlalchemy"}
