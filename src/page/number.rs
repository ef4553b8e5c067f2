//! Numbers as people read them.

/// What stands for a number that is not there.
pub(super) const NONE: &str = "–";

/// A share as percent: 0.9891 is 98.9%. Only what is whole is called 0% or 100%.
pub(super) fn percent(share: f64) -> String {
    match share {
        _ if !share.is_finite() => NONE.to_owned(),
        0.0 => "0%".to_owned(),
        1.0 => "100%".to_owned(),
        _ if share > 0.9995 && share < 1.0 => ">99.9%".to_owned(),
        _ if share > 0.0 && share < 0.0005 => "<0.1%".to_owned(),
        _ => format!("{:.1}%", 100.0 * share),
    }
}

/// A number with three digits that matter, two after the point at least.
pub(super) fn decimal(value: f64) -> String {
    match value.abs() {
        _ if !value.is_finite() => NONE.to_owned(),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        size if size >= 0.0005 || size == 0.0 => format!("{value:.3}"),
        _ => format!("{value:.0e}"),
    }
}

/// Some number by `format`, or a dash.
pub(super) fn optional(value: Option<f64>, format: fn(f64) -> String) -> String {
    value.map_or_else(|| NONE.to_owned(), format)
}

/// A count with its thousands set apart.
pub(super) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count and the noun it counts, which gets an s unless there is one.
pub(super) fn counted(value: u64, noun: &str) -> String {
    match value {
        1 => format!("1 {noun}"),
        _ => format!("{} {noun}s", count(value)),
    }
}

/// A count in at most four characters: 12,345 is 12k.
pub(super) fn brief(value: u64) -> String {
    match value {
        0..1_000 => value.to_string(),
        1_000..1_000_000 => format!("{}k", value / 1_000),
        1_000_000..1_000_000_000 => format!("{}M", value / 1_000_000),
        _ => format!("{}G", value / 1_000_000_000),
    }
}

/// A duration in one or two units.
pub(super) fn duration(seconds: f64) -> String {
    match seconds {
        _ if !seconds.is_finite() || seconds < 0.0 => NONE.to_owned(),
        0.0..0.00995 => format!("{:.1} ms", 1000.0 * seconds),
        0.00995..0.9995 => format!("{:.0} ms", 1000.0 * seconds),
        0.9995..99.95 => format!("{seconds:.1} s"),
        _ if seconds < 3599.5 => {
            let whole = seconds.round();
            format!("{} min {} s", (whole / 60.0).floor(), whole % 60.0)
        }
        _ => {
            let minutes = (seconds / 60.0).round();
            format!("{} h {} min", (minutes / 60.0).floor(), minutes % 60.0)
        }
    }
}

/// A number of bytes in decimal units.
pub(super) fn bytes(value: u64) -> String {
    let mut size = value as f64;
    if value < 1000 {
        return format!("{value} B");
    }
    for unit in ["kB", "MB", "GB"] {
        size /= 1000.0;
        if size < 999.5 {
            return format!("{size:.prec$} {unit}", prec = usize::from(size < 99.95));
        }
    }
    format!("{:.1} TB", size / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_never_rounds_to_certainty() {
        let shown = [0.0, 0.0001, 0.98919, 0.9999, 1.0, f64::NAN].map(percent);
        assert_eq!(shown, ["0%", "<0.1%", "98.9%", ">99.9%", "100%", NONE]);
    }

    #[test]
    fn decimals_keep_three_digits() {
        let shown = [0.0, 0.02, 1.2345, 12.34, 1234.5, 0.0001].map(decimal);
        assert_eq!(shown, ["0.000", "0.020", "1.23", "12.3", "1234", "1e-4"]);
    }

    #[test]
    fn counts_are_grouped_or_brief() {
        assert_eq!([7, 1234, 1_234_567].map(count), ["7", "1,234", "1,234,567"]);
        assert_eq!([999, 12_345, 2_000_000].map(brief), ["999", "12k", "2M"]);
        assert_eq!(
            [1, 2].map(|n| counted(n, "sample")),
            ["1 sample", "2 samples"]
        );
    }

    #[test]
    fn durations_and_bytes_change_units() {
        let shown = [0.0021, 0.5, 12.34, 200.0, 7500.0].map(duration);
        assert_eq!(
            shown,
            ["2.1 ms", "500 ms", "12.3 s", "3 min 20 s", "2 h 5 min"]
        );
        let shown = [999, 1500, 123_456_789, 2_500_000_000].map(bytes);
        assert_eq!(shown, ["999 B", "1.5 kB", "123 MB", "2.5 GB"]);
    }
}
