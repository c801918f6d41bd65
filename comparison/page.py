"""A self-contained HTML page from one of this package's templates."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def render_page(template: str, **values: Any) -> str:
    """Returns the page; values that are not `Markup` are escaped.

    Args:
        template: File name of the template.
        **values: What it names.
    """
    environment = Environment(
        loader=PackageLoader("comparison", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**values)
