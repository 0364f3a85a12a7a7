"""The labels of quantiles, made when they are read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import compress
from typing import overload

import numpy as np
import numpy.typing as npt

from spanmill.series.snapshot import LabelValues


class QuantileLabels(Sequence[LabelValues]):
    """The labels of some series with those of q quantiles each, series by series.

    They are put together when they are asked for, so that whoever takes them under a lock holds
    it only as long as it takes to copy a list of the series.
    """

    def __init__(self, series: Sequence[LabelValues], quantiles: Sequence[float]) -> None:
        self._series = series
        self._quantiles = tuple(str(quantile) for quantile in quantiles)

    @classmethod
    def of(
        cls,
        series: Iterable[LabelValues],
        present: npt.NDArray[np.bool_],
        quantiles: Sequence[float],
    ) -> QuantileLabels:
        """Those of the series that are present, bool (series,)."""
        return cls(list(compress(series, present.tolist())), quantiles)

    def __len__(self) -> int:
        return len(self._series) * len(self._quantiles)

    @overload
    def __getitem__(self, index: int) -> LabelValues: ...

    @overload
    def __getitem__(self, index: slice) -> list[LabelValues]: ...

    def __getitem__(self, index: int | slice) -> LabelValues | list[LabelValues]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        series, quantile = divmod(index % len(self), len(self._quantiles))
        return (*self._series[series], self._quantiles[quantile])
