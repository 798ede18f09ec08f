//! How figures are written: three digits and a unit, never more than the measurement bears.

/// A rate or a count: `1.91 M`, `47 k`, `367`.
pub fn count(value: f64) -> String {
    scaled(value, &[(1e9, " G"), (1e6, " M"), (1e3, " k"), (1.0, "")])
}

/// A time given in nanoseconds: `657 ns`, `113 µs`, `1.85 s`.
pub fn nanos(value: f64) -> String {
    scaled(value, &[(1e9, " s"), (1e6, " ms"), (1e3, " µs"), (1.0, " ns")])
}

/// A size in bytes: `1.6 B`, `12.5 MiB`.
pub fn bytes(value: f64) -> String {
    scaled(
        value,
        &[((1u64 << 30) as f64, " GiB"), ((1u64 << 20) as f64, " MiB"), (1024.0, " KiB"), (1.0, " B")],
    )
}

/// How many times one figure is another: `41.5 ×`, `0.62 ×`.
pub fn times(value: f64) -> String {
    format!("{} ×", digits(value))
}

/// A whole number with its thousands apart: `100,000`.
pub fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut written = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            written.push(',');
        }
        written.push(digit);
    }
    written
}

/// Writes a value in the largest unit that leaves at least one whole; units are in falling order.
fn scaled(value: f64, units: &[(f64, &str)]) -> String {
    let fits = |(size, _): &&(f64, &str)| value.abs() >= *size * 0.9995;
    let (size, unit) = units.iter().find(fits).or(units.last()).copied().unwrap_or((1.0, ""));
    format!("{}{unit}", digits(value / size))
}

/// Three digits, without zeros that say nothing: `1.9`, `47`, `0.062`.
fn digits(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return if value == 0.0 { "0".to_owned() } else { "–".to_owned() };
    }
    let whole = value.abs().log10().floor() as i32;
    let decimals = (2 - whole).clamp(0, 6) as usize;
    let written = format!("{value:.decimals$}");
    match written.contains('.') {
        true => written.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => written,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_and_the_unit_that_fits() {
        assert_eq!(count(1_912_345.0), "1.91 M");
        assert_eq!(count(47_000.0), "47 k");
        assert_eq!(count(367.2), "367");
        assert_eq!(nanos(657.0), "657 ns");
        assert_eq!(nanos(1_162_000.0), "1.16 ms");
        assert_eq!(bytes(1.6), "1.6 B");
        assert_eq!(times(0.0623), "0.0623 ×");
    }

    #[test]
    fn thousands_stand_apart() {
        assert_eq!(
            [0, 999, 1_000, 100_000, 1_234_567].map(grouped),
            ["0", "999", "1,000", "100,000", "1,234,567"]
        );
    }

    #[test]
    fn what_rounds_up_takes_the_next_unit() {
        assert_eq!(count(999_900.0), "1 M");
    }

    #[test]
    fn nothing_and_no_number_are_written_too() {
        assert_eq!(count(0.0), "0");
        assert_eq!(times(f64::NAN), "– ×");
    }
}
