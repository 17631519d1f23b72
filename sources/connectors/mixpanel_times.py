"""What a time in Mixpanel's export means, and a watch over whether the settings that say so can be right.

Projects that were made before 11 January 2023 export times as seconds of the project's own wall clock, as if that were
UTC; later ones export real UTC. Either way the day of the number is the day by which the export is asked.

An event also says when Mixpanel received it, and that is always real UTC. Most events arrive within seconds, so when
nearly all of them seem to have taken the same whole quarters of an hour, the time zone or the kind of project is wrong.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from portal.failures import TerminalError

PROJECT, REAL_UTC = "project", "utc"
ENOUGH = 50  # events that say when they were received: fewer prove nothing
SHARE = 0.7  # of them with the same delay
QUARTER = 900
LONGEST = 14 * 4  # quarters of an hour: no zone is further from another's clock

ZONES = ("UTC", *sorted(name for name in available_timezones() if "/" in name and not name.startswith("Etc/")))


class Times:
    """Turns the numbers of one project into moments."""

    def __init__(self, zone: str, basis: str) -> None:
        try:
            self.zone = ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise TerminalError(
                f"“{zone}” is no time zone. Choose the project's time zone in the settings of this source.",
                repr(error),
                kind="settings",
            ) from error
        if basis not in {PROJECT, REAL_UTC}:
            raise TerminalError("Say in the settings of this source when the project was made.", kind="settings")
        self.is_local = basis == PROJECT
        self._delays: Counter[int] = Counter()

    def moment(self, seconds: float, received: float | None) -> datetime:
        """The UTC moment of an event. `received`: when Mixpanel got it, in real seconds, where it says so.

        When the clocks go back an hour comes twice. It is then the later of the two, unless the event was received
        before that; an event that was both made in the first of the two hours and received more than an hour late cannot
        be told apart.
        """
        stamp = datetime.fromtimestamp(seconds, UTC)
        if not self.is_local:
            return stamp
        wall = stamp.replace(tzinfo=self.zone)
        first = wall.astimezone(UTC)
        second = wall.replace(fold=1).astimezone(UTC)
        if second > first and received is not None and received >= second.timestamp() - 1:
            return second
        return first

    def local_date(self, moment: datetime) -> date:
        """The project's calendar day."""
        return moment.astimezone(self.zone).date()

    def today(self, now: datetime) -> date:
        """The last day that can be asked for."""
        return now.astimezone(self.zone if self.is_local else UTC).date()

    def watch(self, moment: datetime, received: float | None) -> None:
        """Remember how long an event seems to have taken."""
        if received is not None:
            self._delays[round((received - moment.timestamp()) / QUARTER)] += 1

    def refuse_if_wrong(self) -> None:
        """Raises when what was watched can only come from wrong settings; begins anew once it was enough to tell."""
        total = self._delays.total()
        if total < ENOUGH:
            return
        delays, self._delays = self._delays, Counter()
        quarters, count = delays.most_common(1)[0]
        # where the clocks changed meanwhile, one half of the events is another hour off
        count += max(delays[near] for near in (quarters - 4, quarters + 4) if near)
        if quarters and abs(quarters) <= LONGEST and count >= SHARE * total:
            hours = abs(timedelta(seconds=quarters * QUARTER)) / timedelta(hours=1)
            which = "after" if quarters > 0 else "before"
            raise TerminalError(
                f"The times of Mixpanel's events are {hours:g} hours off: nearly all seem to have been received that "
                f"long {which} they happened. Check the project's time zone, and when the project was made, in the "
                "settings of this source. Nothing was loaded, so that no wrong time gets in.",
                f"{count} of {total} events have a delay of {quarters * QUARTER} s; zone {self.zone.key}, "
                f"{'project time' if self.is_local else 'UTC'}",
                kind="settings",
            )
