//! The times at which releases may go on.

use crate::Duration;
use crate::decide::later;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A span of time that comes again and again: it opens as a cron expression says, on the clocks of a time zone.
///
/// Where the clocks are put forward over an opening at a fixed time, it opens right after the gap; where they are put
/// back, it opens once. `duration` is time that passes, whatever the clocks do meanwhile.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", try_from = "Written")]
#[cfg_attr(feature = "schema", schemars(!try_from))]
pub struct ReleaseWindow {
    /// When it opens: minute, hour, day of the month, month and day of the week, such as `0 9 * * MON-FRI`.
    #[cfg_attr(feature = "schema", schemars(length(min = 9, max = 100)))]
    pub schedule: String,
    /// The IANA time zone of the schedule, such as `Asia/Shanghai`. Default `UTC`.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 64)))]
    pub time_zone: String,
    /// How long it stays open, at least 1m.
    pub duration: Duration,
    #[serde(skip)]
    #[cfg_attr(feature = "schema", schemars(skip))]
    clock: Clock,
}

/// A schedule and a zone that were understood.
#[derive(Clone, Debug)]
struct Clock {
    cron: Cron,
    zone: TimeZone,
}

/// A window as it is written.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    schedule: String,
    #[serde(default = "utc")]
    time_zone: String,
    duration: Duration,
}

/// Why something is no window; the text names the field and the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWindow {
    /// The schedule is no cron expression.
    #[error(
        "schedule: `{schedule}` is not a cron expression of five fields: {problem}; write it as `0 9 * * MON-FRI`"
    )]
    Schedule {
        /// The text.
        schedule: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The expression names days that do not exist.
    #[error("schedule: `{0}` never comes; write it as `0 9 * * MON-FRI`")]
    Never(String),
    /// There is no such zone.
    #[error("timeZone: `{0}` is not an IANA time zone; write it as Asia/Shanghai or UTC")]
    TimeZone(String),
    /// A window that is over before it begins.
    #[error("duration: {0} is too short for anything to happen in; write at least 1m")]
    Duration(Duration),
}

// === impl ReleaseWindow ===

impl ReleaseWindow {
    /// Whether it is open.
    pub fn is_open(&self, now: Timestamp) -> bool {
        let Clock { cron, zone } = &self.clock;
        let opened = cron.find_previous_occurrence(&now.to_zoned(zone.clone()), true);
        opened.is_ok_and(|opened| now < later(opened.timestamp(), self.duration))
    }

    /// When it opens the next time after `now`; none where the calendar ends before.
    pub fn next_opening(&self, now: Timestamp) -> Option<Timestamp> {
        let Clock { cron, zone } = &self.clock;
        let next = cron.find_next_occurrence(&now.to_zoned(zone.clone()), false).ok()?;
        Some(next.timestamp())
    }
}

impl PartialEq for ReleaseWindow {
    fn eq(&self, other: &Self) -> bool {
        (&self.schedule, &self.time_zone, self.duration)
            == (&other.schedule, &other.time_zone, other.duration)
    }
}

impl fmt::Display for ReleaseWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` in {} for {}", self.schedule, self.time_zone, self.duration)
    }
}

impl TryFrom<Written> for ReleaseWindow {
    type Error = InvalidWindow;

    fn try_from(Written { schedule, time_zone, duration }: Written) -> Result<Self, InvalidWindow> {
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(&schedule).map_err(|error| InvalidWindow::Schedule {
            schedule: schedule.clone(),
            problem: error.to_string().trim_end_matches('.').to_owned(),
        })?;
        // The zones of this build, so that the same text means the same on every machine.
        let zone = TimeZoneDatabase::bundled().get(&time_zone);
        let zone = zone.map_err(|_| InvalidWindow::TimeZone(time_zone.clone()))?;
        if duration < Duration::from_secs(60) {
            return Err(InvalidWindow::Duration(duration));
        }
        if cron.find_next_occurrence(&Timestamp::UNIX_EPOCH.to_zoned(zone.clone()), true).is_err() {
            return Err(InvalidWindow::Never(schedule));
        }
        Ok(Self { schedule, time_zone, duration, clock: Clock { cron, zone } })
    }
}

fn utc() -> String {
    "UTC".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(schedule: &str, zone: &str, duration: &str) -> ReleaseWindow {
        let json = format!(r#"{{"schedule": "{schedule}", "timeZone": "{zone}", "duration": "{duration}"}}"#);
        serde_json::from_str(&json).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn it_is_open_from_its_opening_on_for_its_duration() {
        let office = window("0 9 * * MON-FRI", "Asia/Shanghai", "8h");
        // 2026-11-25 is a Wednesday.
        for (now, open) in [
            ("2026-11-25T08:59:59+08:00", false),
            ("2026-11-25T09:00:00+08:00", true),
            ("2026-11-25T16:59:59+08:00", true),
            ("2026-11-25T17:00:00+08:00", false),
            ("2026-11-28T10:00:00+08:00", false),
        ] {
            assert_eq!(office.is_open(at(now)), open, "{now}");
        }
        let friday_evening = at("2026-11-27T18:00:00+08:00");
        assert_eq!(office.next_opening(friday_evening), Some(at("2026-11-30T09:00:00+08:00")));
    }

    #[test]
    fn a_window_over_midnight_stays_open() {
        let night = window("0 22 * * *", "UTC", "6h");
        assert!(night.is_open(at("2026-11-25T03:00:00Z")) && !night.is_open(at("2026-11-25T04:00:00Z")));
    }

    #[test]
    fn the_clocks_of_the_zone_decide_in_summer_and_in_winter() {
        let morning = window("0 9 * * *", "Europe/Berlin", "1h");
        assert_eq!(morning.next_opening(at("2026-07-01T00:00:00Z")), Some(at("2026-07-01T07:00:00Z")));
        assert_eq!(morning.next_opening(at("2026-12-01T00:00:00Z")), Some(at("2026-12-01T08:00:00Z")));
    }

    #[test]
    fn an_opening_that_the_clocks_skip_comes_right_after_the_gap() {
        // On 2026-03-29 Berlin's clocks go from 2:00 to 3:00, which is 01:00 UTC.
        let night = window("30 2 * * *", "Europe/Berlin", "1h");
        assert_eq!(night.next_opening(at("2026-03-28T12:00:00Z")), Some(at("2026-03-29T01:00:00Z")));
        assert!(night.is_open(at("2026-03-29T01:59:00Z")) && !night.is_open(at("2026-03-29T02:00:00Z")));
    }

    #[test]
    fn an_opening_that_the_clocks_repeat_comes_once() {
        // On 2026-10-25 Berlin's clocks go from 3:00 back to 2:00, which is 01:00 UTC.
        let night = window("30 2 * * *", "Europe/Berlin", "10m");
        assert!(night.is_open(at("2026-10-25T00:35:00Z")));
        assert!(!night.is_open(at("2026-10-25T01:35:00Z")), "2:35 comes again");
        assert_eq!(night.next_opening(at("2026-10-25T00:30:00Z")), Some(at("2026-10-26T01:30:00Z")));
    }

    #[test]
    fn nonsense_is_refused_with_the_field_and_the_remedy() {
        for (json, part) in [
            (r#"{"schedule": "at nine", "duration": "1h"}"#, "schedule: `at nine` is not a cron expression"),
            (r#"{"schedule": "0 0 9 * * *", "duration": "1h"}"#, "is not a cron expression of five fields"),
            (r#"{"schedule": "0 25 * * *", "duration": "1h"}"#, "is not a cron expression"),
            (r#"{"schedule": "0 9 30 2 *", "duration": "1h"}"#, "schedule: `0 9 30 2 *` never comes"),
            (
                r#"{"schedule": "0 9 * * *", "timeZone": "Mars/Olympus", "duration": "1h"}"#,
                "timeZone: `Mars/Olympus` is not",
            ),
            (r#"{"schedule": "0 9 * * *", "duration": "30s"}"#, "duration: 30s is too short"),
            (r#"{"schedule": "0 9 * * *", "duration": "1h", "zone": "UTC"}"#, "unknown field `zone`"),
        ] {
            let error = serde_json::from_str::<ReleaseWindow>(json).unwrap_err().to_string();
            assert!(error.contains(part), "{json}: {error}");
        }
    }
}
