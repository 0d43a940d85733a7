"""What wider fixtures borrow and give back: growth of their setup is a loan, repaid by what their end frees."""

from __future__ import annotations

from array import array
from collections.abc import Callable

from leaktrace.recording.model import FixtureAccount


class Loans:
    """The fixtures at work in the running test.

    Args:
        row: the test's own growth, by phase and counter; a loan repaid too much or too little is settled with it.
        first: where in the row its phases begin.
        credit: adds what each counter has risen by since the last boundary to an array.
    """

    def __init__(self, width: int, row: array[int], first: int, credit: Callable[[array[int], int], None]) -> None:
        self._n, self._row, self._credit = width, row, credit
        self._setup, self._call, self._teardown = first, first + width, first + 2 * width
        self._scratch = array("q", [0] * width)
        self._active: list[FixtureAccount] = []
        self._closing: FixtureAccount | None = None
        self._finalizing = False
        self.closed: list[FixtureAccount] = []
        self.busy = False
        """Whether growth may be a fixture's now: one is being set up, or was closed during this test."""

    def clear(self) -> None:
        """A test begins."""
        self._active.clear()
        self.closed.clear()
        self._closing, self._finalizing, self.busy = None, False, False

    def boundary(self, at: int) -> None:
        """Credit growth to the fixture at work, to one just closed, or to the test's phase at `at`."""
        if self._active:
            self._lend(self._active[-1], at)
        elif self._closing is not None:
            self._close(self._closing, at)
        else:
            self._credit(self._row, at)

    def begin(self, account: FixtureAccount) -> None:
        """Its setup begins; those that it asks for by `getfixturevalue` nest."""
        self._active.append(account)
        self.busy = True

    def end(self, account: FixtureAccount, at: int, *, look: bool) -> bool:
        """Its setup is over; False if it had not begun in this test. Without a `look` its growth is the next one's."""
        if not self._active:
            return False
        if look:
            self._lend(account, at)
        self._active.pop()
        self.busy = bool(self._active) or self._closing is not None
        account.setups += 1
        return True

    def closing_begin(self, account: FixtureAccount) -> None:
        """Its finalizer begins; those that depend on it are closed already."""
        self._closing, self._finalizing, self.busy = account, True, True

    def closing_end(self, account: FixtureAccount, at: int) -> None:
        """Its finalizer has run; its value dies only after this, until the next boundary."""
        self._close(account, at)
        self._finalizing = False
        account.closings += 1
        for i in range(self._n):
            account.due[i] += account.open[i]
            account.open[i] = 0
        if not any(each is account for each in self.closed):
            self.closed.append(account)

    def repay(self) -> None:
        """Let what the test itself seems to have freed repay loans closed during it, the last closed first.

        A fixture's value may outlive its finalizer in the test's own arguments; it then falls with the test.
        """
        row = self._row
        for account in reversed(self.closed):
            for i in range(self._n):
                freed = -(row[self._setup + i] + row[self._call + i] + row[self._teardown + i])
                share = min(freed, account.due[i])
                if share > 0:
                    account.due[i] -= share
                    row[self._teardown + i] += share

    def settle(self, at: int) -> None:
        """What has fallen once the process was settled repays the loan closed last, else it is the test's."""
        if self.closed:
            self._close(self.closed[-1], at)
            self.repay()
        else:
            self._credit(self._row, at)

    def settled(self) -> None:
        """The test is over: what is still due was kept."""
        for account in self.closed:
            for i in range(self._n):
                account.kept[i] += account.due[i]
                account.due[i] = 0

    def _read(self) -> array[int]:
        scratch = self._scratch
        for i in range(self._n):
            scratch[i] = 0
        self._credit(scratch, 0)
        return scratch

    def _lend(self, account: FixtureAccount, at: int) -> None:
        grown = self._read()
        for i in range(self._n):
            account.lent[i] += grown[i]
            if account.wide:
                account.open[i] += grown[i]
            else:
                self._row[at + i] += grown[i]

    def _close(self, account: FixtureAccount, at: int) -> None:
        """Take from the loan what was freed, down to zero; all else is the test's.

        What the finalizer itself allocates is the fixture's own; what falls after it is its value's death.
        """
        grown = self._read()
        loan = account.open if self._finalizing else account.due
        for i in range(self._n):
            change = grown[i]
            if change < 0:
                change = max(change, -max(loan[i], 0))
            elif not self._finalizing:
                change = 0
            loan[i] += change
            self._row[at + i] += grown[i] - change
