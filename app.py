"""Start the playground. Hugging Face Spaces starts this file; `florence2-playground` starts the same."""

import sys

if sys.version_info < (3, 11):  # before an import that an older Python cannot read
    sys.exit(f"Florence-2 Playground needs Python 3.11 or newer, but this is {sys.version.split()[0]}. Install one.")

from playground.__main__ import main

if __name__ == "__main__":
    main()
