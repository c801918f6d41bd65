import sys

from tfjob.preflight import main

if __name__ == "__main__":
    sys.exit(main())
