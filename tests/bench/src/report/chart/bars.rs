//! Horizontal bars from zero, each with its figure: for rates, and for times that differ by less than a decade.

use super::{
    Caption, TOP, WIDTH,
    axis::Axis,
    svg::{Anchor, Svg, Tone, width_of},
};
use crate::results::Spread;

/// One bar.
#[derive(Clone, Debug)]
pub struct Bar {
    /// Who.
    pub label: String,
    /// Whose colour.
    pub tone: Tone,
    /// How long it is, and the whisker on it.
    pub spread: Spread,
}

const ROW: f64 = 26.0;
const THICK: f64 = 16.0;

/// Draws the bars in the order given, figures written by `write`.
pub fn bars(caption: &Caption<'_>, bars: &[Bar], write: fn(f64) -> String) -> String {
    let foot = TOP + ROW * bars.len() as f64 + 6.0;
    let mut svg = Svg::new(WIDTH, foot + 44.0, caption.title, caption.description);
    let left = 24.0 + bars.iter().map(|bar| width_of(&bar.label)).fold(0.0, f64::max);
    let largest = bars.iter().map(|bar| bar.spread.max).fold(0.0, f64::max);
    let axis = Axis::linear(largest, left, WIDTH - 84.0);
    for tick in axis.ticks() {
        let x = axis.at(tick);
        svg.rule("grid", (x, TOP - 4.0), (x, foot));
        svg.text(x, foot + 16.0, Anchor::Middle, "quiet", &write(tick));
    }
    svg.text(axis.at(0.0), foot + 34.0, Anchor::Start, "quiet", caption.unit);
    for (index, bar) in bars.iter().enumerate() {
        draw(&mut svg, &axis, bar, TOP + ROW * (index as f64 + 0.5), write);
    }
    svg.finish()
}

fn draw(svg: &mut Svg, axis: &Axis, bar: &Bar, y: f64, write: fn(f64) -> String) {
    let Spread { min, median, max } = bar.spread;
    let (zero, end) = (axis.at(0.0), axis.at(median));
    svg.text(zero - 8.0, y + 4.5, Anchor::End, "", &bar.label);
    svg.bar(bar.tone, (zero, y - THICK / 2.0), (end - zero).max(1.0), THICK);
    let (low, high) = (axis.at(min), axis.at(max));
    if high - low > 2.0 {
        svg.rule("whisker", (low, y), (high, y));
        for x in [low, high] {
            svg.rule("whisker", (x, y - 4.0), (x, y + 4.0));
        }
    }
    svg.text(high.max(end) + 8.0, y + 4.5, Anchor::Start, "", &write(median));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::figure::count;

    #[test]
    fn every_bar_has_its_label_and_its_figure() {
        let caption = Caption { title: "t", description: "d", unit: "a second" };
        let spread = Spread { min: 1e6, median: 2e6, max: 3e6 };
        let drawn = bars(&caption, &[Bar { label: "raw <TCP>".into(), tone: Tone::Limit, spread }], count);
        assert!(drawn.contains("raw &lt;TCP&gt;</text>") && drawn.contains(">2 M</text>"), "{drawn}");
        assert_eq!(drawn.matches("whisker\"").count(), 3, "{drawn}");
    }

    #[test]
    fn nothing_to_draw_is_a_chart_too() {
        let caption = Caption { title: "t", description: "d", unit: "" };
        assert!(!bars(&caption, &[], count).contains("NaN"));
    }
}
