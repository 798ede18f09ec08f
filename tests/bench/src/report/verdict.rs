//! What was asked for, beside what was reached.

use super::{figure::times, rows::Rows};

/// Readings that are all listed.
const FEW: usize = 3;

/// One figure that was asked for.
pub struct Target {
    /// The heading that it stands under.
    pub group: &'static str,
    /// What, in words.
    pub what: String,
    /// Which way is better.
    pub better: Better,
    /// What it must be.
    pub floor: f64,
    /// What it should be; none where the floor is all that was asked.
    pub aim: Option<f64>,
    /// How its figures are written.
    pub write: fn(f64) -> String,
    /// Computes it from a run's rows; nothing where it was not measured.
    pub read: Box<dyn Fn(Rows<'_>) -> Vec<Reading>>,
}

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// The figure is a floor to stay above.
    More,
    /// The figure is a ceiling to stay below.
    Less,
}

/// A target's figure under one condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// The condition, such as a runtime; empty where there is only one.
    pub under: String,
    /// The figure.
    pub figure: f64,
}

/// How a target came out: its worst reading decides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// No row to compute it from.
    NotMeasured,
    /// The aim, or the floor where there is no aim.
    Reached,
    /// The floor, not the aim.
    FloorOnly,
    /// Not even the floor: how much of it is missing, as a share of the floor.
    Missed {
        /// 0.1 where it is 10 % off.
        by: f64,
    },
}

impl Target {
    /// Holds the worst of these readings against floor and aim.
    pub fn judge(&self, readings: &[Reading]) -> Verdict {
        let Some(&Reading { figure: worst, .. }) = self.worst(readings) else { return Verdict::NotMeasured };
        let holds = |bound: f64| match self.better {
            Better::More => worst >= bound,
            Better::Less => worst <= bound,
        };
        match (holds(self.floor), self.aim) {
            (false, _) => Verdict::Missed { by: (worst - self.floor).abs() / self.floor },
            (true, Some(aim)) if !holds(aim) => Verdict::FloorOnly,
            (true, _) => Verdict::Reached,
        }
    }

    /// The readings in words: all where there are few, else the worst.
    pub fn reached(&self, readings: &[Reading]) -> String {
        let say = |reading: &Reading| match reading.under.as_str() {
            "" => (self.write)(reading.figure),
            under => format!("{} ({under})", (self.write)(reading.figure)),
        };
        if readings.len() <= FEW {
            return readings.iter().map(say).collect::<Vec<_>>().join(", ");
        }
        self.worst(readings).map(|worst| format!("at worst {}", say(worst))).unwrap_or_default()
    }

    fn worst<'a>(&self, readings: &'a [Reading]) -> Option<&'a Reading> {
        let by_figure = |one: &&Reading, other: &&Reading| one.figure.total_cmp(&other.figure);
        match self.better {
            Better::More => readings.iter().min_by(by_figure),
            Better::Less => readings.iter().max_by(by_figure),
        }
    }

    /// Floor and aim in words: `≥ 35 × (aim 45 ×)`.
    pub fn asked(&self) -> String {
        let sign = match self.better {
            Better::More => "≥",
            Better::Less => "≤",
        };
        let aim = self.aim.map(|aim| format!(" (aim {})", (self.write)(aim))).unwrap_or_default();
        format!("{sign} {}{aim}", (self.write)(self.floor))
    }
}

impl Verdict {
    /// In words, for a table.
    pub fn words(self) -> String {
        match self {
            Self::NotMeasured => "not measured".to_owned(),
            Self::Reached => "reached".to_owned(),
            Self::FloorOnly => "the floor, not the aim".to_owned(),
            Self::Missed { by } if by > 1.0 => format!("**missed: {} what was asked for**", times(by + 1.0)),
            Self::Missed { by } => format!("**missed by {:.0} %**", (by * 100.0).max(1.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(better: Better) -> Target {
        Target {
            group: "",
            what: String::new(),
            better,
            floor: if better == Better::More { 10.0 } else { 20.0 },
            aim: Some(if better == Better::More { 20.0 } else { 10.0 }),
            write: super::super::figure::times,
            read: Box::new(|_| Vec::new()),
        }
    }

    fn readings(figures: &[f64]) -> Vec<Reading> {
        figures.iter().map(|figure| Reading { under: format!("at {figure}"), figure: *figure }).collect()
    }

    fn judged(better: Better, figures: &[f64]) -> Verdict {
        target(better).judge(&readings(figures))
    }

    #[test]
    fn of_many_readings_the_worst_is_named() {
        assert_eq!(target(Better::Less).reached(&readings(&[1.0, 2.0])), "1 × (at 1), 2 × (at 2)");
        assert_eq!(target(Better::Less).reached(&readings(&[1.0, 4.0, 3.0, 2.0])), "at worst 4 × (at 4)");
        assert_eq!(target(Better::More).reached(&[]), "");
    }

    #[test]
    fn more_is_better_where_a_rate_was_asked_for() {
        assert_eq!(judged(Better::More, &[20.0]), Verdict::Reached);
        assert_eq!(judged(Better::More, &[10.0]), Verdict::FloorOnly);
        assert_eq!(judged(Better::More, &[9.0]), Verdict::Missed { by: 0.1 });
    }

    #[test]
    fn less_is_better_where_a_cost_was() {
        assert_eq!(judged(Better::Less, &[10.0]), Verdict::Reached);
        assert_eq!(judged(Better::Less, &[20.0]), Verdict::FloorOnly);
        assert_eq!(judged(Better::Less, &[30.0]), Verdict::Missed { by: 0.5 });
    }

    #[test]
    fn the_worst_reading_decides_and_none_is_no_verdict() {
        assert_eq!(judged(Better::More, &[30.0, 9.0]), Verdict::Missed { by: 0.1 });
        assert_eq!(judged(Better::Less, &[1.0, 15.0]), Verdict::FloorOnly);
        assert_eq!(judged(Better::More, &[]), Verdict::NotMeasured);
    }

    #[test]
    fn a_miss_is_never_rounded_away() {
        assert_eq!(Verdict::Missed { by: 5.86 }.words(), "**missed: 6.86 × what was asked for**");
        assert_eq!(Verdict::Missed { by: 0.001 }.words(), "**missed by 1 %**");
    }
}
