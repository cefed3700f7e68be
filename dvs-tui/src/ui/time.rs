// SPDX-License-Identifier: GPL-3.0-or-later
//! Time as the screens show it. Nothing here asks the system what time it is.

use std::time::Duration;

const DAY: i64 = 86_400;

/// The moment of an update, on two clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Now {
    /// Monotonic time since the client started.
    pub(crate) mono: Duration,
    /// Seconds since 1970.
    pub(crate) unix: u64,
}

/// The local time zone: seconds east of Greenwich at a moment given in seconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Zone(pub(crate) fn(u64) -> i32);

impl Zone {
    /// Universal time.
    #[cfg(test)]
    pub(crate) const UTC: Self = Self(|_| 0);

    fn local(self, unix: u64) -> i64 {
        i64::try_from(unix).unwrap_or(i64::MAX / 2) + i64::from((self.0)(unix))
    }

    /// `14:02`
    pub(crate) fn clock(self, unix: u64) -> String {
        let second = self.local(unix).rem_euclid(DAY);
        format!("{:02}:{:02}", second / 3_600, second / 60 % 60)
    }

    /// A past moment as one would say it: `today 09:12`, `yesterday 12:41`, `Tue 18:30`, `3 Mar`, `3 Mar 2024`.
    pub(crate) fn when(self, unix: u64, now: u64) -> String {
        let (day, today) = (self.local(unix).div_euclid(DAY), self.local(now).div_euclid(DAY));
        let date = Date::of(day);
        match today - day {
            ..0 => format!("{date} {}", self.clock(unix)),
            0 => format!("today {}", self.clock(unix)),
            1 => format!("yesterday {}", self.clock(unix)),
            2..=6 => format!("{} {}", weekday(day), self.clock(unix)),
            _ if date.year == Date::of(today).year => date.to_string(),
            _ => format!("{date} {}", date.year),
        }
    }
}

/// A day of the Gregorian calendar.
struct Date {
    year: i64,
    month: usize,
    day: i64,
}

impl Date {
    /// The date of a day counted from 1970-01-01, reckoned in years that begin in March.
    fn of(days: i64) -> Self {
        let days = days + 719_468;
        let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * of_year + 2) / 153;
        let month = (march_month + 2) % 12;
        let year = era * 400 + year_of_era + i64::from(month < 2);
        Self { year, month: usize::try_from(month).unwrap_or(0), day: of_year - (153 * march_month + 2) / 5 + 1 }
    }
}

impl std::fmt::Display for Date {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        write!(f, "{} {}", self.day, MONTHS.get(self.month).unwrap_or(&"?"))
    }
}

fn weekday(days: i64) -> &'static str {
    match (days + 4).rem_euclid(7) {
        0 => "Sun",
        1 => "Mon",
        2 => "Tue",
        3 => "Wed",
        4 => "Thu",
        5 => "Fri",
        _ => "Sat",
    }
}

/// How long ago something was: `now`, `5 min ago`, `3 h ago`, `12 d ago`.
pub(crate) fn ago(unix: u64, now: u64) -> String {
    match now.saturating_sub(unix) {
        0..=59 => "now".to_owned(),
        seconds @ 60..=3_599 => format!("{} min ago", seconds / 60),
        seconds @ 3_600..=86_399 => format!("{} h ago", seconds / 3_600),
        seconds => format!("{} d ago", seconds / 86_400),
    }
}

/// A running timer: `03:27`, from one hour on `01:03:27`.
pub(crate) fn timer(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours:02}:{minutes:02}:{seconds:02}") } else { format!("{minutes:02}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Wednesday, 2025-06-18 14:02:00 UTC.
    const NOW: u64 = 1_750_255_320;

    #[test]
    fn a_timer_grows_an_hour_field_when_it_needs_one() {
        assert_eq!(timer(0), "00:00");
        assert_eq!(timer(3_599), "59:59");
        assert_eq!(timer(3_600 + 207), "01:03:27");
        assert_eq!(timer(100 * 3_600), "100:00:00");
    }

    #[test]
    fn past_moments_are_named_by_their_distance() {
        let when = |before: u64| Zone::UTC.when(NOW - before, NOW);
        assert_eq!(when(0), "today 14:02");
        assert_eq!(when(14 * 3_600), "today 00:02");
        assert_eq!(when(15 * 3_600), "yesterday 23:02");
        assert_eq!(when(2 * 86_400), "Mon 14:02");
        assert_eq!(when(8 * 86_400), "10 Jun");
        assert_eq!(when(365 * 86_400), "18 Jun 2024");
        assert_eq!(Zone::UTC.when(NOW + 86_400, NOW), "19 Jun 14:02", "a clock that was set back is no reason to lie");
    }

    #[test]
    fn the_zone_moves_the_clock_and_the_day() {
        let east = Zone(|_| 10 * 3_600);
        assert_eq!(east.clock(NOW), "00:02");
        assert_eq!(east.when(NOW - 120, NOW), "today 00:00");
        assert_eq!(east.when(NOW - 180, NOW), "yesterday 23:59");
    }

    #[test]
    fn leap_days_exist() {
        assert_eq!(Zone::UTC.when(1_709_164_800, NOW), "29 Feb 2024");
        assert_eq!(Zone::UTC.when(951_782_400, NOW), "29 Feb 2000");
        assert_eq!(Zone::UTC.when(0, NOW), "1 Jan 1970");
    }

    #[test]
    fn elapsed_time_is_rounded_down() {
        assert_eq!(ago(NOW - 59, NOW), "now");
        assert_eq!(ago(NOW - 3_599, NOW), "59 min ago");
        assert_eq!(ago(NOW - 3 * 86_400 - 5, NOW), "3 d ago");
        assert_eq!(ago(NOW + 5, NOW), "now");
    }
}
