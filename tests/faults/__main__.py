"""`python -m tests.faults` writes `docs/failures.md`."""

from tests.faults.failures_page import PAGE, render

if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(render(), encoding="utf-8")
