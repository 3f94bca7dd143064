"""The command `nextlabel`, also `python -m nextlabel`."""

from nextlabel._extras import needing


def main() -> None:
    with needing("cli", "the command line"):
        from nextlabel.cli import commands
    commands(prog_name="nextlabel")


if __name__ == "__main__":
    main()
