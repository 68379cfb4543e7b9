//! Instants as text, always in UTC: RFC 3339 for programs, a plainer form for people.

/// `2026-11-20T16:50:03.123456Z`.
pub fn rfc3339_us(us: u64) -> String {
    let (date, time) = civil(us / 1_000_000);
    format!("{date}T{time}.{:06}Z", us % 1_000_000)
}

/// `2026-11-20T16:50:03.123Z`.
pub fn rfc3339_ms(ms: u64) -> String {
    let (date, time) = civil(ms / 1000);
    format!("{date}T{time}.{:03}Z", ms % 1000)
}

/// `2026-11-20 16:50:03 UTC`.
pub fn for_people_ms(ms: u64) -> String {
    let (date, time) = civil(ms / 1000);
    format!("{date} {time} UTC")
}

/// Unix milliseconds of `2026-11-20`, `2026-11-20T16:50`, `2026-11-20T16:50:03Z` or
/// `2026-11-20T16:50:03.123456Z`, in UTC.
pub fn parse_ms(text: &str) -> Option<u64> {
    let (date, time) = text.split_once('T').unwrap_or((text, "00:00"));
    let number = |text: &str, range: std::ops::RangeInclusive<u64>| {
        let digits = text.len() >= 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|number| digits && range.contains(number))
    };
    let mut date = date.split('-');
    let year = number(date.next()?, 1970..=9999)?;
    let month = number(date.next()?, 1..=12)?;
    let day = number(date.next()?, 1..=31)?;
    let mut time = time.strip_suffix('Z').unwrap_or(time).split(':');
    let hour = number(time.next()?, 0..=23)?;
    let minute = number(time.next()?, 0..=59)?;
    let (second, fraction) = match time.next() {
        None => ("00", ""),
        Some(seconds) => seconds.split_once('.').unwrap_or((seconds, "000")),
    };
    let second = number(second, 0..=59)?;
    let ms = match fraction {
        "" => 0,
        digits if digits.len() <= 9 && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{digits:0<3}")[..3].parse().ok()?
        }
        _ => return None,
    };
    if date.next().is_some() || time.next().is_some() {
        return None;
    }
    // The inverse of `civil`, by the same years that begin in March.
    let year_from_march = if month <= 2 { year - 1 } else { year };
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let leap_days = year_from_march / 4 - year_from_march / 100 + year_from_march / 400;
    let days = (365 * year_from_march + leap_days + day_of_year).checked_sub(719_468)?;
    let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second;
    // A day that its month does not have would be one of the next.
    civil(seconds).0.ends_with(&format!("-{month:02}-{day:02}")).then_some(seconds * 1000 + ms)
}

/// Date and time of day of a Unix time in seconds.
fn civil(seconds: u64) -> (String, String) {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Days of 400-year cycles that begin on 1 March, so that the leap day comes last.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let time = format!("{:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60);
    (format!("{year:04}-{month:02}-{day:02}"), time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_written_in_utc() {
        assert_eq!(rfc3339_us(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(rfc3339_ms(951_782_400_007), "2000-02-29T00:00:00.007Z");
        assert_eq!(for_people_ms(1_795_193_403_000), "2026-11-20 16:50:03 UTC");
        assert_eq!(for_people_ms(4_107_542_399_000), "2100-02-28 23:59:59 UTC");
    }

    #[test]
    fn instants_are_read_in_utc() {
        for ms in [0, 86_400_000, 951_782_400_000, 1_795_193_403_000, 4_107_542_399_000] {
            let text = rfc3339_ms(ms).replace(".000Z", "");
            assert_eq!(parse_ms(&text), Some(ms), "{text}");
        }
        assert_eq!(parse_ms("2000-02-29"), Some(951_782_400_000));
        assert_eq!(parse_ms("2000-02-29T00:00Z"), Some(951_782_400_000));
        assert_eq!(parse_ms("2000-02-29T00:00:00.0075Z"), Some(951_782_400_007));
        for bad in [
            "2000-01-01T00:00:00.x",
            "2026-02-29",
            "2026-11-31",
            "2026-1-1",
            "2026-01-01T24:00",
            "1969-12-31",
            "x",
        ] {
            assert_eq!(parse_ms(bad), None, "{bad}");
        }
    }
}
