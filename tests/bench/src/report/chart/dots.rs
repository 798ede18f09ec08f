//! A row for each contender and a mark for each percentile, on a logarithmic axis: for latencies.

use super::{
    Caption, TOP, WIDTH,
    axis::Axis,
    svg::{Anchor, Mark, Svg, Tone, width_of},
};

/// One row.
#[derive(Clone, Debug)]
pub struct Dots {
    /// Who.
    pub label: String,
    /// Whose colour.
    pub tone: Tone,
    /// The percentiles in rising order, as many as there are marks at most.
    pub values: Vec<f64>,
}

const ROW: f64 = 26.0;
const MARKS: [Mark; 3] = [Mark::Circle, Mark::Square, Mark::Triangle];

/// Draws the rows in the order given; `names` are those of the marks, such as `p50`.
pub fn dots(caption: &Caption<'_>, names: &[&str], rows: &[Dots], write: fn(f64) -> String) -> String {
    let top = TOP + 22.0; // the legend
    let foot = top + ROW * rows.len() as f64 + 6.0;
    let mut svg = Svg::new(WIDTH, foot + 44.0, caption.title, caption.description);
    let left = 24.0 + rows.iter().map(|row| width_of(&row.label)).fold(0.0, f64::max);
    let axis = Axis::log(rows.iter().flat_map(|row| row.values.iter().copied()), left, WIDTH - 40.0);
    legend(&mut svg, names, left);
    for tick in axis.ticks() {
        let x = axis.at(tick);
        svg.rule("grid", (x, top - 4.0), (x, foot));
        svg.text(x, foot + 16.0, Anchor::Middle, "quiet", &write(tick));
    }
    svg.text(left, foot + 34.0, Anchor::Start, "quiet", caption.unit);
    for (index, row) in rows.iter().enumerate() {
        let y = top + ROW * (index as f64 + 0.5);
        svg.text(left - 8.0, y + 4.5, Anchor::End, "", &row.label);
        let places: Vec<_> = row.values.iter().map(|value| (axis.at(*value), y)).collect();
        svg.line(row.tone, &places);
        for (place, mark) in places.into_iter().zip(MARKS) {
            svg.mark(row.tone, mark, place);
        }
    }
    svg.finish()
}

fn legend(svg: &mut Svg, names: &[&str], left: f64) {
    let mut x = left + 4.0;
    for (name, mark) in names.iter().zip(MARKS) {
        svg.mark(Tone::Limit, mark, (x, TOP));
        svg.text(x + 10.0, TOP + 4.5, Anchor::Start, "quiet", name);
        x += 30.0 + width_of(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_percentile_has_a_mark_and_the_legend_names_it() {
        let caption = Caption { title: "t", description: "d", unit: "µs" };
        let row = Dots { label: "unary".into(), tone: Tone::Peer, values: vec![1e5, 1e6, 2e6] };
        let drawn = dots(&caption, &["p50", "p99", "p99.9"], &[row], crate::report::figure::nanos);
        assert_eq!(drawn.matches("peer mark").count(), 3, "{drawn}");
        assert!(drawn.contains(">p99.9</text>") && drawn.contains(">1 ms</text>"), "{drawn}");
    }
}
