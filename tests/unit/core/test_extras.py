from __future__ import annotations

import pytest

from rldk.core.extras import need
from rldk.errors import MissingExtra


def test_an_absent_package_is_an_error_that_names_what_to_install() -> None:
    with pytest.raises(MissingExtra) as caught, need("parquet", "pyarrow"):
        import a_package_that_nobody_has  # type: ignore[import-not-found]  # noqa: F401
    assert (caught.value.extra, caught.value.hint) == ("parquet", 'pip install "rldk[parquet]"')
    assert caught.value.exit_code == 4


def test_other_errors_and_packages_that_are_there_pass() -> None:
    with need("x", "json"):
        import json  # noqa: F401
    with pytest.raises(ValueError, match="not of the import"), need("x", "y"):
        raise ValueError("not of the import")
