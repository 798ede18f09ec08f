//! The three kinds of charts that the report draws, on a small writer of SVG.

pub mod axis;
pub mod bars;
pub mod dots;
pub mod lines;
pub mod svg;

/// The width of every chart, in pixels: that of a page of text.
const WIDTH: f64 = 760.0;

/// Where the drawing begins below the title.
const TOP: f64 = 44.0;

/// What is written about a chart beside its data.
#[derive(Clone, Debug)]
pub struct Caption<'a> {
    /// What it shows.
    pub title: &'a str,
    /// The same in words, for those who do not see it: what is compared, and how it came out.
    pub description: &'a str,
    /// What the axis of figures counts, and its unit.
    pub unit: &'a str,
}
