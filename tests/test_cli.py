"""The ``chainrule`` command, in processes of its own as a user has it."""

from __future__ import annotations

import importlib.util
import io
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import chainrule
from chainrule.cli import COMMANDS, alias, main

PROGRAMS = Path(__file__).parent / "programs"
needs_matplotlib = pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="needs matplotlib")


def command(*words: object, where: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    """The outcome of ``chainrule WORDS...``, without a display."""
    windows = ("DISPLAY", "WAYLAND_DISPLAY", "MPLBACKEND")
    environment = {name: value for name, value in os.environ.items() if name not in windows}
    environment |= {"PYTHONIOENCODING": "utf-8"} | variables
    line = [sys.executable, "-m", "chainrule", *map(str, words)]
    return subprocess.run(
        line, capture_output=True, encoding="utf-8", cwd=where, env=environment, timeout=120, check=False
    )


def script(folder: Path, text: str, name: str = "script.py") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def without_addresses(text: str) -> str:
    return re.sub(r"0x[0-9a-f]+", "0xADDRESS", text)


def promised(name: str) -> str:
    return (PROGRAMS / f"{name}.expected").read_text(encoding="utf-8")


# --- the command itself ---------------------------------------------------------------------------------


def test_version_and_help() -> None:
    assert command("--version").stdout == f"chainrule {chainrule.__version__}\n"
    shown = command("--help")
    assert shown.returncode == 0
    assert all(f"  {name}" in shown.stdout for name in COMMANDS)
    assert command().returncode == 2
    assert "x=2" in command("derive", "--help").stdout
    assert "--save-plots" in command("run", "--help").stdout


@pytest.mark.parametrize("line", ["nothing", "run", "run --nothing x.py", "derive", "derive x --nothing"])
def test_a_wrong_line_is_answered_in_one(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(line.split())
    assert end.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


# --- run ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["slopes", "softmax", "training", "quickstart", "names"])
def test_a_program_prints_what_it_prints_with_pytorch(name: str) -> None:
    done = command("run", PROGRAMS / f"{name}.py")
    assert done.returncode == 0, done.stderr
    assert without_addresses(done.stdout) == promised(name)
    assert ("UserWarning: The .grad attribute" in done.stderr) == (name == "slopes")


@pytest.mark.parametrize("name", ["slopes", "softmax", "training", "environment", "quickstart", "names"])
def test_the_expectations_are_pytorchs(name: str) -> None:
    pytest.importorskip("torch")
    line = [sys.executable, "-W", "ignore", PROGRAMS / f"{name}.py", "a", "--b"]
    done = subprocess.run(line, capture_output=True, encoding="utf-8", timeout=120, check=False)
    assert without_addresses(done.stdout) == promised(name)


def test_a_script_has_the_surroundings_python_gives() -> None:
    done = command("run", PROGRAMS / "environment.py", "a", "--b")
    assert done.stdout == promised("environment")
    assert done.returncode == 7


def test_options_before_and_right_after_the_script_are_ours_and_the_rest_its_own(tmp_path: Path) -> None:
    path = script(tmp_path, "import sys; print(sys.argv[1:])")
    for words in (
        ("--save-plots", tmp_path, path, "--help", "--save-plots", "x"),
        (path, "--full-traceback", f"--save-plots={tmp_path}", "--help", "--save-plots", "x"),
        (path, "--", "--help", "--save-plots", "x"),
    ):
        assert command("run", *words).stdout == "['--help', '--save-plots', 'x']\n"


@pytest.mark.parametrize(
    ("ending", "status", "stderr"),
    [("sys.exit()", 0, ""), ("sys.exit(3)", 3, ""), ("sys.exit('why')", 1, "why\n"), ("raise SystemExit(None)", 0, "")],
)
def test_exit_status(tmp_path: Path, ending: str, status: int, stderr: str) -> None:
    done = command("run", script(tmp_path, f"import sys\n{ending}"))
    assert (done.returncode, done.stderr) == (status, stderr)


@pytest.mark.parametrize("path", ["nothing.py", ".", "no\tsuch/script.py"])
def test_what_is_not_a_script(tmp_path: Path, path: str) -> None:
    done = command("run", path, where=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"chainrule: cannot open {path}: ")
    assert done.stderr.count("\n") == 1


def test_an_error_shows_the_scripts_lines_only(tmp_path: Path) -> None:
    path = script(
        tmp_path,
        """import torch
def hook(g):
    raise ValueError("in the hook")
x = torch.ones(2, requires_grad=True)
x.register_hook(hook)
def f():
    (x * x).sum().backward()
f()
""",
    )
    done = command("run", path)
    assert done.returncode == 1
    assert re.findall(r"line (\d+), in (\S+)", done.stderr) == [("8", "<module>"), ("7", "f"), ("3", "hook")]
    assert done.stderr.endswith("ValueError: in the hook\n")
    assert "chainrule" not in done.stderr
    assert "chainrule" in command("run", "--full-traceback", path).stderr


def test_a_cause_is_trimmed_too_and_a_syntax_error_shown_as_python_shows_it(tmp_path: Path) -> None:
    text = """import torch
try:
    torch.ones(2) @ torch.ones(3)
except RuntimeError as error:
    raise KeyError(1) from error
"""
    done = command("run", script(tmp_path, text))
    assert re.findall(r"line (\d+)", done.stderr) == ["3", "5"]
    done = command("run", script(tmp_path, "x = (1,\n"))
    assert done.returncode == 1
    assert "SyntaxError" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_chainrule_lacks_is_said_so(tmp_path: Path) -> None:
    text = """
import importlib.util, sys, torch
for name in ("torch.onnx", "torch.nn.nothing.at.all", "torch.tensor"):
    try:
        __import__(name)
    except ModuleNotFoundError as error:
        print(error.name, "chainrule" in str(error))
print(torch.tensor([1.0]), importlib.util.find_spec("torch") is not None)
import torch.nothing
"""
    done = command("run", script(tmp_path, text))
    assert done.stdout == "torch.onnx True\ntorch.nn.nothing True\ntorch.tensor True\ntensor([1.]) True\n"
    message = "ModuleNotFoundError: No module named 'torch.nothing': chainrule does not have this part of PyTorch\n"
    assert done.stderr.endswith(message)
    assert done.stderr.count("File ") == 1


def test_chainrule_is_preferred_to_an_installed_pytorch(tmp_path: Path) -> None:
    (tmp_path / "torch").mkdir()
    for name in ("__init__", "nn"):
        script(tmp_path / "torch", "raise RuntimeError('the other one')", f"{name}.py")
    path = script(tmp_path, "import torch, torch.nn.functional as F; print(torch.__name__, F.__name__)")
    assert command("run", path, PYTHONPATH=str(tmp_path)).stdout == "chainrule chainrule.nn.functional\n"


def test_the_name_torch_is_lent_and_given_back() -> None:
    before = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "torch"}
    finders = sys.meta_path[:]
    with alias.torch_is_chainrule():
        import torch
        import torch.nn.functional as F
        from torch import nn

        assert torch is chainrule
        assert nn is chainrule.nn
        assert F is chainrule.nn.functional
    assert {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "torch"} == before
    assert sys.meta_path == finders
    assert chainrule.__spec__.name == "chainrule"
    assert callable(chainrule.tensor)


# --- figures --------------------------------------------------------------------------------------------

PLOT = """import matplotlib
matplotlib.use("TkAgg")  # as scripts do, and what a machine without a display cannot have
import matplotlib.pyplot as plt
plt.rcParams["font.sans-serif"] = ["SimHei"]
plt.plot([1, 2], label="函数")
plt.legend()
plt.figure()
plt.title("导数")
plt.show()
print(plt.get_fignums())
plt.plot([2, 1])
plt.show()
"""


@needs_matplotlib
def test_show_saves_each_open_figure(tmp_path: Path) -> None:
    path = script(tmp_path, PLOT, "draw.py")
    done = command("run", path, "--save-plots", "a/b", where=tmp_path)
    assert done.stdout == "[]\n"
    names = [f"draw-{n}.png" for n in (1, 2, 3)]
    assert sorted(file.name for file in (tmp_path / "a/b").iterdir()) == names
    assert all((tmp_path / "a/b" / name).read_bytes().startswith(b"\x89PNG") for name in names)
    lines = done.stderr.splitlines()
    assert [line for line in lines if "saved" in line] == [f"chainrule: saved {Path('a/b') / name}" for name in names]
    others = [line for line in lines if "saved" not in line]
    assert len(others) <= 1  # where this machine has no Chinese font, one line says so
    assert all(line.startswith("chainrule: figures show boxes") for line in others)


@needs_matplotlib
def test_without_a_display_show_says_so_once(tmp_path: Path) -> None:
    done = command("run", script(tmp_path, PLOT.replace("函数", "f").replace("导数", "g")))
    assert done.returncode == 0
    assert done.stderr.count("\n") == 1
    assert "--save-plots" in done.stderr
    assert not list(tmp_path.glob("*.png"))


@needs_matplotlib
def test_an_animation_is_one_picture(tmp_path: Path) -> None:
    text = "import matplotlib.pyplot as plt\nplt.ion()\nfor i in range(3):\n    plt.plot([i, 1])\n    plt.pause(0.01)\n"
    done = command("run", script(tmp_path, text), "--save-plots", tmp_path)
    assert [file.name for file in tmp_path.glob("*.png")] == ["script-1.png"]
    assert done.stderr.count("\n") == 1


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    path = script(tmp_path, "print('not run')")
    done = command("run", path, "--save-plots", path / "x")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"chainrule: cannot open {path / 'x'}: ")


def test_where_matplotlib_is_missing_the_scripts_error_has_a_hint(tmp_path: Path) -> None:
    text = "import sys\nsys.modules['matplotlib'] = None\nimport matplotlib.pyplot"
    done = command("run", script(tmp_path, text))
    assert done.returncode == 1
    assert "line 3" in done.stderr
    assert done.stderr.endswith("pip install 'chainrule[explain]'\n")


@needs_matplotlib
class TestFonts:
    """The machine's fonts, put in place of its own: with Chinese characters among them, and without."""

    @pytest.fixture
    def fonts(self, monkeypatch: pytest.MonkeyPatch):
        import matplotlib as mpl
        from matplotlib import font_manager

        from chainrule.explain import fonts

        usual = [entry for entry in font_manager.fontManager.ttflist if entry.name == "DejaVu Sans"]
        monkeypatch.setattr(font_manager.fontManager, "ttflist", usual)
        monkeypatch.setattr(font_manager, "findSystemFonts", list)
        fonts.family.cache_clear()
        with mpl.rc_context():
            yield fonts
        fonts.family.cache_clear()

    def test_the_machines_font_is_the_fallback_and_answers_to_the_known_names(self, fonts) -> None:
        import dataclasses

        import matplotlib as mpl
        from matplotlib import font_manager

        entries = font_manager.fontManager.ttflist
        entries.append(dataclasses.replace(entries[0], name="WenQuanYi Zen Hei", fname="/fonts/wqy.ttc"))
        assert fonts.prepare() == "WenQuanYi Zen Hei"
        assert fonts.prepare() == "WenQuanYi Zen Hei"
        assert mpl.rcParams["font.family"] == ["sans-serif", "WenQuanYi Zen Hei"]
        names = {entry.name for entry in entries if entry.fname == "/fonts/wqy.ttc"}
        assert {"SimHei", "Microsoft YaHei", "PingFang SC"} <= names
        assert len(entries) == len({(entry.name, entry.fname, entry.style, entry.weight) for entry in entries})

    def test_one_that_matplotlib_has_not_listed_yet_is_found(self, fonts, monkeypatch: pytest.MonkeyPatch) -> None:
        from matplotlib import font_manager, get_data_path

        new = f"{get_data_path()}/fonts/ttf/DejaVuSansMono.ttf"
        monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [new])
        monkeypatch.setattr(fonts, "_has_chinese", new.__eq__)
        assert fonts.prepare() == "DejaVu Sans Mono"

    def test_without_one_there_is_one_line_for_all_missing_glyphs(self, fonts) -> None:
        import matplotlib as mpl
        from matplotlib.figure import Figure

        assert fonts.prepare() is None
        said: list[str] = []
        with fonts.watch(said.append), warnings.catch_warnings():
            warnings.simplefilter("always")
            for label in ("函数", "导数"):
                mpl.rcParams["font.sans-serif"] = ["SimHei"]
                figure = Figure()
                figure.suptitle(label)
                figure.savefig(io.BytesIO(), format="png")
        assert said == [f"figures show boxes: {fonts.ADVICE}"]

    def test_other_warnings_pass(self, fonts, recwarn: pytest.WarningsRecorder) -> None:
        said: list[str] = []
        with fonts.watch(said.append):
            warnings.warn("another", UserWarning, stacklevel=1)
            warnings.warn("Glyph 8722 (MINUS SIGN) missing from font(s) X.", UserWarning, stacklevel=1)
        assert [str(w.message)[:7] for w in recwarn] == ["another", "Glyph 8"]
        assert said == []
