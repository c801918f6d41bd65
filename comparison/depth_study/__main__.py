import sys

from comparison.depth_study.page import main

if __name__ == "__main__":
    sys.exit(main())
