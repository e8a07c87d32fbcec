//! Times as other blogs write them.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// Seconds since the epoch of a time that may name its offset, its time, or only its day; in `zone` where it names no
/// offset.
#[must_use]
pub(super) fn seconds(text: &str, zone: &TimeZone) -> Option<i64> {
    let text = text.trim();
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at.as_second());
    }
    for format in ["%Y-%m-%d %H:%M:%S %z", "%Y-%m-%d %H:%M:%S%:z", "%a, %d %b %Y %H:%M:%S %z"] {
        if let Ok(at) = Timestamp::strptime(format, text) {
            return Some(at.as_second());
        }
    }
    let local = ["%Y-%m-%d %H:%M:%S", "%Y/%m/%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S"]
        .iter()
        .find_map(|format| DateTime::strptime(format, text).ok())
        .or_else(|| {
            let day = ["%Y-%m-%d", "%Y/%m/%d"].iter().find_map(|format| Date::strptime(format, text).ok())?;
            Some(day.at(0, 0, 0, 0))
        })?;
    Some(local.to_zoned(zone.clone()).ok()?.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::seconds;
    use jiff::tz::TimeZone;

    #[test]
    fn times_are_read_as_hexo_hugo_jekyll_and_wordpress_write_them() {
        let shanghai = TimeZone::get("Asia/Shanghai").unwrap();
        for text in [
            "2024-03-01 20:00:00",
            "2024-03-01T12:00:00Z",
            "2024-03-01 20:00:00 +0800",
            "2024/03/01 20:00:00",
            "2024-03-01T20:00:00+08:00",
            "Fri, 01 Mar 2024 12:00:00 +0000",
            "2024-03-01 20:00",
        ] {
            assert_eq!(seconds(text, &shanghai), Some(1_709_294_400), "{text}");
        }
        assert_eq!(seconds("2024-03-01", &TimeZone::UTC), Some(1_709_251_200));
        for bad in ["", "yesterday", "2024-13-01", "0000-00-00 00:00:00"] {
            assert_eq!(seconds(bad, &shanghai), None, "{bad}");
        }
    }
}
