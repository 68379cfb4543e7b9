//! How people write and read amounts: durations, sizes, processors.

/// A text that is not the amount that was expected, with what would be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}")]
pub struct NotAnAmount {
    /// What was given.
    pub text: String,
    /// What was expected, with an example.
    pub expected: &'static str,
}

const DURATION: &str = "a duration such as `90s`, `1h30m` or `250ms`";
const DURATION_WITH_UNIT: &str =
    "a duration with a unit: write `s`, `m`, `h`, `d` or `ms` after the number, as in `90s`";
const SIZE: &str = "a size such as `512MiB`, `4GiB` or `1000` (bytes)";
const CPUS: &str = "a number of processors such as `2` or `0.5` (three decimals at most)";

/// Reads a duration in milliseconds: `90s`, `1h30m`, `250ms`, `2d`. A number without a unit is
/// refused, but for 0: other programs take it for seconds, minutes or milliseconds.
pub fn parse_duration_ms(text: &str) -> Result<u64, NotAnAmount> {
    let fault = || NotAnAmount { text: text.to_owned(), expected: DURATION };
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let unit = NotAnAmount { text: text.to_owned(), expected: DURATION_WITH_UNIT };
        return if text.bytes().all(|byte| byte == b'0') { Ok(0) } else { Err(unit) };
    }
    let mut total = 0u64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(fault)?;
        let number: u64 = rest[..digits].parse().map_err(|_| fault())?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit_ms = match &rest[..letters] {
            "ms" => 1,
            "s" => 1000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(fault()),
        };
        rest = &rest[letters..];
        total = number.checked_mul(unit_ms).and_then(|n| total.checked_add(n)).ok_or_else(fault)?;
    }
    if text.is_empty() { Err(fault()) } else { Ok(total) }
}

/// Reads a size in bytes: `512MiB`, `4G`, `1.5GiB`, `1000`. `K`, `M`, `G`, `T` are powers of 1024.
pub fn parse_size(text: &str) -> Result<u64, NotAnAmount> {
    let fault = || NotAnAmount { text: text.to_owned(), expected: SIZE };
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let shift = match &text[digits..] {
        "" | "B" => 0,
        "K" | "KiB" => 10,
        "M" | "MiB" => 20,
        "G" | "GiB" => 30,
        "T" | "TiB" => 40,
        _ => return Err(fault()),
    };
    let milli = parse_milli(&text[..digits]).ok_or_else(fault)?;
    let bytes = (u128::from(milli) << shift) / 1000;
    u64::try_from(bytes).map_err(|_| fault())
}

/// Reads a number of processors into thousandths: `2`, `0.5`.
pub fn parse_cpus(text: &str) -> Result<u64, NotAnAmount> {
    parse_milli(text).ok_or_else(|| NotAnAmount { text: text.to_owned(), expected: CPUS })
}

fn parse_milli(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let plain = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(part) || part.len() > 3 {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let part: u64 = format!("{part:0<3}").parse().ok()?;
    whole.checked_mul(1000)?.checked_add(part)
}

const SIGNALS: [(&str, u8); 15] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
];

/// Reads a signal's name as Linux has it: `SIGUSR1` or `USR1`.
pub fn parse_signal(text: &str) -> Option<u8> {
    let name = text.strip_prefix("SIG").unwrap_or(text);
    SIGNALS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
}

/// Writes a size with the unit that keeps it short: `512 MiB`.
pub fn size(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut unit = 0;
    let mut value = bytes as f64;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    let precision = usize::from(unit > 0 && value < 10.0 && value.fract() > 0.05);
    format!("{value:.precision$} {}", units[unit])
}

/// Writes thousandths of processors: `0.5`.
pub fn cpus(milli: u64) -> String {
    let text = format!("{}.{:03}", milli / 1000, milli % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Writes a duration in at most two units: `1h 30m`, `2.4s`, `12ms`.
pub fn duration_ms(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms}ms"),
        1_000..60_000 => format!("{}.{}s", ms / 1000, ms % 1000 / 100),
        60_000..3_600_000 => format!("{}m {}s", ms / 60_000, ms % 60_000 / 1000),
        3_600_000..86_400_000 => format!("{}h {}m", ms / 3_600_000, ms % 3_600_000 / 60_000),
        _ => format!("{}d {}h", ms / 86_400_000, ms % 86_400_000 / 3_600_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        let read = |text| parse_duration_ms(text).ok();
        assert_eq!(read("90s"), Some(90_000));
        assert_eq!(read("1h30m"), Some(5_400_000));
        assert_eq!(read("250ms"), Some(250));
        assert_eq!(read("0"), Some(0));
        assert!(parse_duration_ms("5").unwrap_err().to_string().contains("write `s`"));
        for bad in ["5", "", "s", "1x", "-1s", "1h30", "99999999999999999999d"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn sizes_and_processors_are_read() {
        assert_eq!(parse_size("512MiB"), Ok(512 << 20));
        assert_eq!(parse_size("1.5G"), Ok(3 << 29));
        assert_eq!(parse_size("1000"), Ok(1000));
        assert!(parse_size("12MB5").is_err() && parse_size("").is_err());
        assert_eq!(parse_cpus("0.5"), Ok(500));
        assert_eq!(parse_cpus("64"), Ok(64_000));
        assert!(parse_cpus("0.0005").is_err() && parse_cpus("-1").is_err());
    }

    #[test]
    fn amounts_are_written_short() {
        assert_eq!(size(512 << 20), "512 MiB");
        assert_eq!(size(3 << 29), "1.5 GiB");
        assert_eq!(cpus(500), "0.5");
        assert_eq!(cpus(64_000), "64");
        assert_eq!(duration_ms(2_480), "2.4s");
        assert_eq!(duration_ms(5_400_000), "1h 30m");
    }
}
