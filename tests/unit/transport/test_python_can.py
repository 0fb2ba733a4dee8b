import subprocess
import sys

PROGRAMS = ("vehicle_agent.cli", "rsu_agent.cli", "simulator.cli", "shared.cli.main")
NEEDLESS = ("asammdf", "numpy", "pandas")


def test_no_program_loads_the_library_of_a_log_format_it_may_never_read() -> None:
    script = f"import sys, {', '.join(PROGRAMS)}; print(sorted(set({NEEDLESS}) & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


def test_who_needs_the_library_can_still_load_it() -> None:
    script = "import shared.transport.python_can, sys; assert 'asammdf' not in sys.modules; import asammdf; print(asammdf.__name__)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == "asammdf\n"
