"""Objects for other linkers: what they show, what they ask for, what is refused."""

import shutil
import subprocess

import pytest

from tilewright.codegen.elf import MissingSymbolError
from tilewright.codegen.host import compile_part
from tilewright.codegen.object_file import DATA, object_file
from tilewright.codegen.target import Target

ANY = Target("x86-64", "")
OUTER = f"""
@{DATA} = external hidden constant i8
declare hidden i32 @inner(i32)
declare double @fmod(double, double)
define i32 @outer(i32 %x) {{
  %at = getelementptr i8, ptr @{DATA}, i64 4
  %word = load i32, ptr %at
  %y = call i32 @inner(i32 %x)
  %d = sitofp i32 %y to double
  %r = call double @fmod(double %d, double 1.0e+3)
  %i = fptosi double %r to i32
  %z = add i32 %i, %word
  ret i32 %z
}}
"""
INNER = """
@table = internal constant [4 x i32] [i32 10, i32 20, i32 30, i32 2040]
define hidden i32 @inner(i32 %x) {
  %at = getelementptr i32, ptr @table, i32 %x
  %y = load i32, ptr %at
  ret i32 %y
}
"""
DATA_WORDS = (7).to_bytes(4, "little") + (100_000).to_bytes(4, "little")


def made(outside=("fmod",)) -> bytes:
    return object_file(
        [compile_part(t, ANY) for t in (OUTER, INNER)], DATA_WORDS, ["outer"], outside
    )


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler (cc) on this host")
@pytest.mark.parametrize("options", [["-static-pie"], ["-no-pie"], []])
def test_code_data_and_the_librarys_functions_meet(tmp_path, options):
    (tmp_path / "it.o").write_bytes(made())
    (tmp_path / "main.c").write_text(
        "int outer(int); int inner(int x) { return -x; }\n"  # a name of ours that is not seen
        "int main(void) { return !(outer(1) == 100020 && outer(3) == 100040 && inner(2) == -2); }\n"
    )
    command = ["cc", *options, "main.c", "it.o", "-lm", "-o", "it"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    if options == ["-static-pie"] and done.returncode:
        pytest.skip("no static C library on this host")
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr
    assert subprocess.run([tmp_path / "it"], check=False).returncode == 0


def test_what_nobody_defines_is_refused():
    with pytest.raises(MissingSymbolError, match="fmod"):
        made(outside=())


def test_equal_input_gives_equal_bytes():
    assert made() == made()
