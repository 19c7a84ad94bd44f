"""`./orfeas` on a machine with nothing but Python: real environments, real pip, small packages, no network."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.bootstrap import pip as bootstrap_pip
from deploy.bootstrap.environment import with_included
from deploy.bootstrap.errors import SetupError
from deploy.bootstrap.launch import TEST
from deploy.bootstrap.pip import ROOT, Pip
from deploy.bootstrap.progress import Progress
from deploy.bootstrap.torch_build import refuse_cuda
from tests.servers import wait_until
from tests.small_project import SmallProject, pack_pip

OLD_PYTHON = """
import runpy, sys
sys.version_info, sys.argv = (3, 8, 0), [{script!r}]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
def project(tmp_path: Path) -> SmallProject:
    return SmallProject(tmp_path)


def test_first_run_installs_and_runs_the_command_where_the_caller_stands(project: SmallProject, tmp_path: Path) -> None:
    ran = project.run("greet", "--loud", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == f"hello {tmp_path} greet --loud\n"
    assert "first run: setting up" in ran.stderr
    assert "ready" in ran.stderr


def test_second_run_asks_pip_nothing_and_ends_as_the_command_does(project: SmallProject) -> None:
    assert project.run().returncode == 0
    log = project.log
    again = project.run("greet")
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout.endswith("greet\n")
    assert project.log == log
    (project.root / "client" / "__main__.py").write_text("raise SystemExit(7)")
    assert project.run().returncode == 7


def test_the_word_test_runs_the_tests_of_the_project(project: SmallProject, tmp_path: Path) -> None:
    project.add_wheel("pytest", "1.0", "import os, sys; print('tested', os.getcwd(), *sys.argv[1:])\n")
    (project.root / "requirements-test.txt").write_text("pytest==1.0\n")
    assert project.run("test", "tests/test_a.py", cwd=tmp_path).stdout == f"tested {project.root} tests/test_a.py\n"
    assert project.run("test", cwd=tmp_path).stdout == f"tested {project.root} -n 2\n"


def test_changed_requirements_are_installed_at_the_next_run(project: SmallProject) -> None:
    assert project.run().stdout.startswith("hello")
    project.add_wheel("tiny", "2.0", 'GREETING = "good day"\n')
    project.require("tiny==2.0")
    assert project.run().stdout.startswith("good day")


def test_interrupted_installation_is_taken_up(project: SmallProject) -> None:
    assert project.run().returncode == 0
    packages = next(project.venv.glob("lib/*/site-packages"))
    (packages / "tiny.py").unlink()
    (packages / "tiny-1.0.dist-info" / "INSTALLER").unlink()
    (project.venv / "orfeas-stamp-requirements").unlink()
    assert project.run().stdout.startswith("hello")


def test_run_that_is_killed_while_installing_leaves_nothing_that_stops_the_next(project: SmallProject) -> None:
    first = project.start()
    wait_until(lambda: (project.venv / "orfeas-install.log").exists(), 60, "pip to begin")
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert project.run().stdout.startswith("hello")


def test_ctrl_c_while_installing_ends_with_a_sentence(project: SmallProject) -> None:
    first = project.start()
    wait_until(lambda: (project.venv / "orfeas-install.log").exists(), 60, "pip to begin")
    first.send_signal(signal.SIGINT)
    _, err = first.communicate()
    assert first.returncode == 130
    assert "the next run takes up where this one stopped" in err
    assert "Traceback" not in err


def test_two_at_once_install_once(project: SmallProject) -> None:
    both = [project.start("one"), project.start("two")]
    outputs = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert project.log.count("Successfully installed tiny") == 1


def test_cuda_that_nobody_asked_for_is_refused_before_it_is_fetched(project: SmallProject) -> None:
    project.add_wheel("nvidia-lots", "1.0", "")
    project.add_wheel("torch", "2.0", "", needs=["nvidia-lots"])
    project.require("tiny", "torch")
    refused = project.run()
    assert refused.returncode == 1
    assert "nothing was installed" in refused.stderr
    assert "ORFEAS_TORCH=cuda" in refused.stderr
    assert not list(project.venv.glob("lib/*/site-packages/torch*"))
    allowed = project.run(ORFEAS_TORCH="cuda")
    assert allowed.stdout.startswith("hello"), allowed.stderr


def test_cpu_build_passes_and_the_switch_knows_two_words(project: SmallProject) -> None:
    refuse_cuda(["torch", "numpy", "nvidia-lots"], "cuda")
    refuse_cuda(["torch", "numpy"], "cpu")
    with pytest.raises(SetupError, match="nvidia-lots"):
        refuse_cuda(["torch", "nvidia-lots"], "cpu")
    wrong = project.run(ORFEAS_TORCH="rocm")
    assert (wrong.returncode, wrong.stderr) == (1, "\norfeas: ORFEAS_TORCH is 'rocm'; it can be cpu or cuda\n")


def test_package_that_is_not_to_be_had_is_named(project: SmallProject) -> None:
    project.require("no-such-package")
    ran = project.run()
    assert ran.returncode == 1
    assert "no-such-package" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_environment_may_lie_elsewhere(project: SmallProject, tmp_path: Path) -> None:
    assert project.run(ORFEAS_VENV=str(tmp_path / "else where")).stdout.startswith("hello")
    assert not project.venv.exists()


def test_a_checkout_may_lie_in_a_folder_of_any_name(project: SmallProject, tmp_path: Path) -> None:
    project.root = project.root.rename(tmp_path / 'it\'s ; #1 %20 "ä" $HOME')
    ran = project.run("greet", cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (0, f"hello {tmp_path} greet\n"), ran.stderr


def test_a_checkout_whose_name_no_search_path_can_hold_is_refused_in_words(
    project: SmallProject, tmp_path: Path
) -> None:
    project.root = project.root.rename(tmp_path / "a:b")
    ran = project.run("greet", cwd=tmp_path)
    assert ran.returncode == 1 and "a:b" in ran.stderr and "rename it" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_python_without_ensurepip_uses_another_pip(project: SmallProject, tmp_path: Path) -> None:
    (tmp_path / "shadow").mkdir()
    (tmp_path / "shadow" / "ensurepip.py").write_text("raise ImportError('as on Debian without python3-venv')")
    ran = project.run(PYTHONPATH=str(tmp_path / "shadow"))
    assert ran.stdout.startswith("hello"), ran.stderr


@pytest.fixture
def bare_pip(tmp_path: Path, project: SmallProject, monkeypatch: pytest.MonkeyPatch) -> Pip:
    """The pip of an environment whose Python, and the one that runs, have neither pip nor ensurepip."""
    (tmp_path / "shadow").mkdir()
    for name in ("ensurepip", "pip"):
        (tmp_path / "shadow" / f"{name}.py").write_text("raise ImportError")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bare" / "bin" / "python"))
    monkeypatch.setattr(bootstrap_pip, "DEBIAN_WHEELS", tmp_path / "none")
    monkeypatch.setattr(bootstrap_pip, "INSTALL_PIP", ("install", "pip"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(project.wheels))
    packages = next((tmp_path / "bare").glob("lib/*/site-packages"))
    (packages / "sitecustomize.py").write_text("import sys; sys.modules['ensurepip'] = None\n")
    return Pip(Path(sys.executable), tmp_path / "log", Progress())


def test_python_without_any_pip_fetches_one(bare_pip: Pip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pack_pip(tmp_path / "offered.pyz", zipapp=True)
    monkeypatch.setenv("ORFEAS_PIP_URL", (tmp_path / "offered.pyz").as_uri())
    bare_pip.make_present()
    bare_pip.run(["--version"])


def test_python_without_any_pip_and_without_network_says_what_to_install(
    bare_pip: Pip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORFEAS_PIP_URL", (tmp_path / "missing").as_uri())
    with pytest.raises(SetupError, match="apt-get install python3-venv"):
        bare_pip.make_present()


def test_old_python_gets_a_sentence() -> None:
    script = str(ROOT / "orfeas")
    ast.parse(Path(script).read_text(), feature_version=(3, 8))
    environment = {**os.environ, "PATH": "/nonexistent"}
    command = [sys.executable, "-c", OLD_PYTHON.format(script=script)]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert ran.returncode == 1
    assert "needs Python 3.11 or newer" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_every_required_package_is_pinned() -> None:
    from deploy.pins import pins, requirements_in

    assert {path.name for path in with_included(TEST)} >= {"api.txt", "worker.txt", "host.txt", "shared.txt"}
    pinned = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if line[0] != "#")
    needed = pins(requirements_in(TEST))
    assert {name for name in needed if name not in pinned} == set()
