import pytest

from comparison.clocks import PHASES
from comparison.page import PALETTE


@pytest.mark.parametrize("background", ["#ffffff", "#181c22"])
def test_every_colour_stands_out_from_light_and_dark_pages(background: str) -> None:
    def luminance(colour: str) -> float:
        channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    for colour in PALETTE:
        darker, lighter = sorted((luminance(colour), luminance(background)))
        assert (lighter + 0.05) / (darker + 0.05) >= 3, colour


def test_every_phase_has_a_colour_of_its_own() -> None:
    assert len(set(PALETTE)) == len(PALETTE) >= len(PHASES)
