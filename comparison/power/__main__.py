import sys

from comparison.power.tables import main

if __name__ == "__main__":
    sys.exit(main())
