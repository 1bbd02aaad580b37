from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what the bound caches out of the user's folders."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGE_MARL_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
