//! From values to places on the paper, and where the ticks go.

/// A straight stretch of paper, in pixels, and the values that it stands for.
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    /// From tick to tick; none on a logarithmic axis.
    step: Option<f64>,
}

impl Axis {
    /// From zero to a round figure at or beyond the largest value.
    pub fn linear(largest: f64, from: f64, to: f64) -> Self {
        let step = round_step(largest.max(f64::MIN_POSITIVE));
        Self { low: 0.0, high: (largest / step).ceil().max(1.0) * step, from, to, step: Some(step) }
    }

    /// Logarithmic, from a round figure at or below the smallest value to one at or beyond the largest. Values that
    /// have no logarithm are left out.
    pub fn log(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let (mut low, mut high) = (f64::MAX, f64::MIN_POSITIVE);
        for value in values.filter(|value| value.is_finite() && *value > 0.0) {
            (low, high) = (low.min(value), high.max(value));
        }
        let (low, high) = (round_down(low.min(high)), round_up(high));
        let high = if high > low { high } else { low * 10.0 };
        Self { low, high, from, to, step: None }
    }

    /// Where a value is, in pixels; what is off the paper is at its edge.
    pub fn at(&self, value: f64) -> f64 {
        let share = match self.step {
            None => (value.max(self.low) / self.low).ln() / (self.high / self.low).ln(),
            Some(_) => (value - self.low) / (self.high - self.low),
        };
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }

    /// Round values along the axis, in rising order.
    pub fn ticks(&self) -> Vec<f64> {
        match self.step {
            None => self.log_ticks(),
            Some(step) => {
                (0..=(self.high / step).round() as u32).map(|tick| f64::from(tick) * step).collect()
            }
        }
    }

    /// Every decade, and where there are few of them 2 and 5 between.
    fn log_ticks(&self) -> Vec<f64> {
        let decades = (self.high / self.low).log10();
        let steps: &[f64] = if decades > 2.5 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let first = self.low.log10().floor() as i32;
        let last = self.high.log10().ceil() as i32;
        let inside = |value: &f64| *value >= self.low * 0.999 && *value <= self.high * 1.001;
        (first..=last)
            .flat_map(|power| steps.iter().map(move |step| step * 10f64.powi(power)))
            .filter(inside)
            .collect()
    }
}

/// 1, 2 or 5 times a power of ten, such that three to ten steps make up the value.
fn round_step(value: f64) -> f64 {
    let power = 10f64.powf((value / 5.0).log10().floor());
    let wanted = value / 5.0 / power;
    power
        * if wanted > 3.0 {
            5.0
        } else if wanted > 1.5 {
            2.0
        } else {
            1.0
        }
}

fn round_down(value: f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    power * [5.0, 2.0].into_iter().find(|step| value / power >= *step).unwrap_or(1.0)
}

fn round_up(value: f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    power * [1.0, 2.0, 5.0].into_iter().find(|step| value / power <= *step * 1.000_001).unwrap_or(10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(left: &[f64], right: &[f64]) -> bool {
        left.len() == right.len() && left.iter().zip(right).all(|(l, r)| (l - r).abs() <= r.abs() * 1e-9)
    }

    #[test]
    fn a_linear_axis_begins_at_zero_and_covers_the_largest() {
        let axis = Axis::linear(1_910_000.0, 0.0, 100.0);
        assert!(close(&axis.ticks(), &[0.0, 5e5, 1e6, 1.5e6, 2e6]), "{:?}", axis.ticks());
        assert_eq!(axis.at(1e6), 50.0);
    }

    #[test]
    fn there_are_never_too_many_ticks_nor_too_few() {
        for value in (1..2000).map(|tenth| f64::from(tenth) / 10.0) {
            let ticks = Axis::linear(value, 0.0, 1.0).ticks().len();
            assert!((3..=11).contains(&ticks), "{value}: {ticks}");
        }
    }

    #[test]
    fn a_log_axis_puts_equal_ratios_at_equal_distances() {
        let axis = Axis::log([1.0, 1000.0].into_iter(), 0.0, 300.0);
        assert!(close(&axis.ticks(), &[1.0, 10.0, 100.0, 1000.0]), "{:?}", axis.ticks());
        assert!((axis.at(10.0) - 100.0).abs() < 1e-9);
    }

    #[test]
    fn a_short_log_axis_has_ticks_within_the_decade() {
        let axis = Axis::log([90.0, 800.0].into_iter(), 0.0, 1.0);
        assert!(close(&axis.ticks(), &[50.0, 100.0, 200.0, 500.0, 1000.0]), "{:?}", axis.ticks());
    }

    #[test]
    fn one_value_or_none_makes_an_axis_too() {
        for values in [vec![], vec![100.0], vec![0.0, f64::NAN]] {
            let axis = Axis::log(values.into_iter(), 0.0, 10.0);
            assert!(axis.at(100.0).is_finite() && axis.ticks().len() > 1, "{axis:?}");
        }
    }

    #[test]
    fn a_rising_axis_may_run_down_the_paper() {
        let axis = Axis::linear(10.0, 100.0, 0.0);
        assert_eq!(axis.at(0.0), 100.0);
        assert_eq!(axis.at(10.0), 0.0);
    }
}
