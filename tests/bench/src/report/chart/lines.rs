//! Lines over two logarithmic axes: for growth. Flat means that it does not cost more.

use super::{
    Caption, TOP, WIDTH,
    axis::Axis,
    svg::{Anchor, Mark, Svg, Tone, width_of},
};
use crate::report::figure;

/// One line.
#[derive(Clone, Debug)]
pub struct Line {
    /// What.
    pub label: String,
    /// Its colour.
    pub tone: Tone,
    /// Its points, from left to right.
    pub points: Vec<(f64, f64)>,
}

const HEIGHT: f64 = 340.0;
const MARKS: [Mark; 3] = [Mark::Circle, Mark::Square, Mark::Triangle];

/// Draws the lines; `across` says what grows from left to right.
pub fn lines(caption: &Caption<'_>, across: &str, lines: &[Line], write: fn(f64) -> String) -> String {
    let mut svg = Svg::new(WIDTH, HEIGHT, caption.title, caption.description);
    let right = WIDTH - 30.0 - lines.iter().map(|line| width_of(&line.label)).fold(0.0, f64::max);
    let foot = HEIGHT - 52.0;
    let points = || lines.iter().flat_map(|line| line.points.iter());
    let x_axis = Axis::log(points().map(|point| point.0), 72.0, right);
    let y_axis = Axis::log(points().map(|point| point.1), foot, TOP + 22.0);
    svg.text(16.0, TOP + 6.0, Anchor::Start, "quiet", caption.unit);
    for tick in y_axis.ticks() {
        let y = y_axis.at(tick);
        svg.rule("grid", (72.0, y), (right, y));
        svg.text(64.0, y + 4.5, Anchor::End, "quiet", &write(tick));
    }
    for tick in x_axis.ticks() {
        svg.text(x_axis.at(tick), foot + 20.0, Anchor::Middle, "quiet", &figure::count(tick));
    }
    svg.text(72.0, foot + 40.0, Anchor::Start, "quiet", across);
    let places: Vec<Vec<_>> = lines
        .iter()
        .map(|line| line.points.iter().map(|(x, y)| (x_axis.at(*x), y_axis.at(*y))).collect())
        .collect();
    let heights = apart(places.iter().map(|line| line.last().map_or(foot, |last| last.1)).collect());
    for (index, (line, places)) in lines.iter().zip(&places).enumerate() {
        svg.line(line.tone, places);
        for place in places {
            svg.mark(line.tone, MARKS[index % MARKS.len()], *place);
        }
        svg.text(right + 12.0, heights[index] + 4.5, Anchor::Start, "", &line.label);
    }
    svg.finish()
}

/// Moves labels down until none lies on another.
fn apart(heights: Vec<f64>) -> Vec<f64> {
    let mut order: Vec<usize> = (0..heights.len()).collect();
    order.sort_by(|one, other| heights[*one].total_cmp(&heights[*other]));
    let (mut moved, mut free) = (heights, f64::MIN);
    for index in order {
        moved[index] = moved[index].max(free);
        free = moved[index] + 17.0;
    }
    moved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_keep_their_order_and_a_line_between_them() {
        assert_eq!(apart(vec![100.0, 50.0, 101.0]), [100.0, 50.0, 117.0]);
    }

    #[test]
    fn every_point_has_a_mark_and_every_line_its_name() {
        let caption = Caption { title: "t", description: "d", unit: "ns" };
        let line = |label: &str, tone| Line {
            label: label.into(),
            tone,
            points: vec![(1.0, 400.0), (1000.0, 130.0)],
        };
        let drawn = lines(
            &caption,
            "subscribers",
            &[line("dispatcher", Tone::Ours), line("everything", Tone::Second)],
            figure::nanos,
        );
        assert_eq!(
            (drawn.matches("ours mark").count(), drawn.matches("second mark").count()),
            (2, 2),
            "{drawn}"
        );
        assert!(drawn.contains(">everything</text>") && drawn.contains(">subscribers</text>"), "{drawn}");
    }
}
