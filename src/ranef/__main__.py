"""`python -m ranef` is the command `ranef`."""

from ranef.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
