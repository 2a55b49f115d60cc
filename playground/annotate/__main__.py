"""Ask about many pictures: `python -m playground.annotate --help`."""

from playground.annotate.command import main

if __name__ == "__main__":
    main()
