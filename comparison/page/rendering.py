"""A self-contained HTML page from one of this package's templates."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from comparison.texts import get_language, name_language, say, say_count


def render_page(template: str, **values: Any) -> str:
    """Returns the page in the reader's language; values that are not `Markup` are escaped.

    Args:
        template: File name of the template.
        **values: What it names, beside `say`, `say_count`, `language`, `language_tag` and `Markup`.
    """
    environment = Environment(
        loader=PackageLoader("comparison", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        say=say, say_count=say_count, language=get_language(), language_tag=name_language(), Markup=Markup
    )
    return environment.get_template(template).render(**values)
